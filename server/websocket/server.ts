import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { GraphQLError } from 'graphql'
import { handleProtocols, makeServer, type Context as Protocol, type SubscribePayload } from 'graphql-ws'
import { WebSocketServer, type RawData, type WebSocket } from 'ws'
import type { Services } from '../context.ts'
import { ParleyError, RateLimitedError } from '../errors.ts'
import { addressOf } from '../http/address.ts'
import { pathOf } from '../http/router.ts'
import type { Yoga } from '../http/yoga.ts'
import { toGraphQLError } from '../schema/errors.ts'
import { subscribe } from '../schema/subscribe.ts'
import { Admission, type Visitor } from './admission.ts'
import { authorizationIn, prepareOperation, type Operation } from './operation.ts'
import { SocketOutlet } from './outlet.ts'
import type { Delivery, SharedFollows } from './sharedFollow.ts'
import { isAllowedOrigin, refuse } from './upgrade.ts'

interface Extra extends Visitor {
  readonly outlet: SocketOutlet
}
type Connection = Protocol<Record<string, unknown>, Extra>

/** An operation over a socket, and how its frames get there. */
interface SocketOperation extends Operation {
  delivery: Delivery
}

export interface Sockets {
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
  count(): number
  /**
   * Closes every socket with 1012 (service restart), which clients answer by connecting again; spread over so many
   * milliseconds, since they would all come to the next node at once.
   */
  close(spreadMs: number): Promise<void>
}

export interface SocketsParts {
  services: Services
  yoga: Yoga
  shared: SharedFollows
}

/**
 * graphql-transport-ws over WebSocket: graphql-ws keeps the protocol, Yoga's envelope parses, validates and executes, and
 * subscriptions that can be shared write their own frames.
 */
export function createSockets({ services, yoga, shared }: SocketsParts): Sockets {
  const { config, logger } = services
  const admission = new Admission(services)
  let isClosing = false
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: config.maxFrameBytes,
    perMessageDeflate: false,
    handleProtocols,
  })

  const protocol = makeServer<Record<string, unknown>, Extra>({
    connectionInitWaitTimeout: config.connectionInitTimeoutMs,
    async onConnect({ extra, connectionParams }) {
      try {
        await admission.signIn(extra, connectionParams?.authorization ?? connectionParams?.Authorization)
        return true
      } catch (error) {
        if (!(error instanceof ParleyError)) throw error
        extra.socket.close(4403, error.message.slice(0, 100))
        return false
      }
    },
    onSubscribe: (connection, id, payload) => prepare(connection as Connection, id, payload),
    execute: (args) => (args as SocketOperation).executeWith(args),
    async subscribe(args) {
      const joined = await shared.subscribe(args, (args as SocketOperation).delivery)
      if (!joined) return subscribe(args)
      // graphql-ws keeps the arguments for as long as the subscription lasts, and nothing reads the context any more
      args.contextValue = undefined
      return joined
    },
  })

  async function prepare(
    { extra, subscriptions }: Connection,
    id: string,
    payload: SubscribePayload,
  ): Promise<SocketOperation | readonly GraphQLError[]> {
    const limit = config.maxSubscriptionsPerSocket
    try {
      if (Object.keys(subscriptions).length > limit)
        throw new RateLimitedError(`At most ${limit} operations at once on one connection.`, 1000)
      if (!extra.asker.viewer) await admission.signIn(extra, authorizationIn(payload))
    } catch (error) {
      if (error instanceof ParleyError) return [toGraphQLError(error)]
      throw error
    }
    const operation = await prepareOperation(yoga, payload, extra.asker)
    if (!('document' in operation)) return operation
    const opening = `{"id":${JSON.stringify(id)},"type":"next","payload":`
    return { ...operation, delivery: { outlet: extra.outlet, frame: (shared) => `${opening}${shared}}` } }
  }

  function accept(socket: WebSocket, request: IncomingMessage): void {
    const extra: Extra = {
      socket,
      outlet: new SocketOutlet(socket, request.socket, {
        maxBufferBytes: config.maxSocketBufferBytes,
        stuckTimeoutMs: config.stuckSocketTimeoutMs,
      }),
      asker: { viewer: null, expiresAt: null, address: addressOf(request, config.trustedProxies) },
      release: [],
    }
    const closed = protocol.opened(
      {
        protocol: socket.protocol,
        send: (data) =>
          new Promise((resolve, reject) => {
            if (socket.readyState !== socket.OPEN) return resolve()
            socket.send(data, (error) => (error ? reject(error) : resolve()))
          }),
        close: (code, reason) => socket.close(code, reason),
        onMessage: (handle) =>
          socket.on('message', (data) => {
            handle(textOf(data)).catch((error: unknown) => {
              if (socket.readyState !== socket.OPEN) return
              // graphql-ws throws at what only a server says, and its error has no type of its own
              if ((error as Error).message.startsWith('Unexpected message of type'))
                return socket.close(4400, 'Not a message of a client')
              logger.error('a WebSocket message could not be handled', { error })
              socket.close(1011, 'Internal error')
            })
          }),
      },
      extra,
    )
    // e.g. a frame that is too large: ws closes the socket with the code that belongs to it by itself
    socket.on('error', (error) => logger.debug('a WebSocket failed', { error }))
    keepAlive(socket, extra.outlet, config.pingIntervalMs)
    socket.once('close', (code, reason) => {
      for (const undo of extra.release) undo()
      closed(code, reason.toString()).catch((error: unknown) => logger.error('a WebSocket did not close', { error }))
    })
  }

  return {
    upgrade(request, socket, head) {
      if (isClosing) return refuse(socket, '503 Service Unavailable')
      if (pathOf(request) !== '/graphql') return refuse(socket, '404 Not Found')
      if (!isAllowedOrigin(request, config.allowedOrigins)) return refuse(socket, '403 Forbidden')
      server.handleUpgrade(request, socket, head, (webSocket) => accept(webSocket, request))
    },
    count: () => server.clients.size,
    async close(spreadMs) {
      isClosing = true
      const clients = [...server.clients]
      const timers = clients.map((client) =>
        setTimeout(() => client.close(1012, 'Service restart'), Math.random() * spreadMs),
      )
      // who does not answer the close within two seconds is cut off
      timers.push(setTimeout(() => server.clients.forEach((client) => client.terminate()), spreadMs + 2_000))
      await new Promise<void>((resolve) => server.close(() => resolve()))
      for (const timer of timers) clearTimeout(timer)
    },
  }
}

const textOf = (data: RawData): string =>
  (Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer)).toString()

function keepAlive(socket: WebSocket, outlet: SocketOutlet, intervalMs: number): void {
  let isAlive = true
  const timer = setInterval(() => {
    // the pong of one who reads slowly stands behind what it has not read; whether it reads at all the outlet watches
    if (outlet.watch()) return
    if (!isAlive) return socket.terminate()
    isAlive = false
    if (socket.readyState === socket.OPEN) socket.ping()
  }, intervalMs)
  socket.on('pong', () => (isAlive = true))
  socket.once('close', () => clearInterval(timer))
}
