import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { GraphQLError } from 'graphql'
import { handleProtocols, makeServer, type Context as Protocol, type SubscribePayload } from 'graphql-ws'
import { WebSocketServer, type RawData, type WebSocket } from 'ws'
import type { Services } from '../context.ts'
import { ParleyError, ProviderUnavailableError, RateLimitedError, type ErrorCode } from '../errors.ts'
import { createTrail, type Trail } from '../guards/auditTrail.ts'
import { isOwnPage, tokenIn } from '../http/cookie.ts'
import { operationRefused, subscriptionDone } from '../http/observe.ts'
import { isAllowedOrigin } from '../http/origin.ts'
import { pathOf } from '../http/router.ts'
import { noteSignIn, startTrail, trailOf } from '../http/trail.ts'
import type { GraphqlServer } from '../http/yoga.ts'
import { askerOf } from '../resolvers/createContext.ts'
import { toGraphQLError } from '../schema/errors.ts'
import { subscribe } from '../schema/subscribe.ts'
import { Admission, type Visitor } from './admission.ts'
import { KeepAlive } from './keepAlive.ts'
import { authorizationIn, prepareOperation, type Operation } from './operation.ts'
import { SocketOutlet } from './outlet.ts'
import type { Delivery, SharedFollows } from './sharedFollow.ts'
import { refuse } from './upgrade.ts'

interface Extra extends Visitor {
  readonly outlet: SocketOutlet
  readonly trail: Trail
  /** Runs until the client has begun. */
  initTimer: NodeJS.Timeout | undefined
  /** Operations so far: each has an id of its own. */
  operations: number
}
type Connection = Protocol<Record<string, unknown>, Extra>

/** An operation over a socket, and how its frames get there. */
interface SocketOperation extends Operation {
  delivery: Delivery
}

export interface Sockets {
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
  count(): number
  /** Bytes that all sockets took so far. */
  bytesSent(): number
  /**
   * Closes every socket with 1012 (service restart), which clients answer by connecting again; spread over so many
   * milliseconds, since they would all come to the next node at once.
   * @param hurry aborted, all that are left are closed at once
   */
  close(spreadMs: number, hurry?: AbortSignal): Promise<void>
}

export interface SocketsParts {
  services: Services
  graphqlServer: Pick<GraphqlServer, 'yoga' | 'textOf'>
  shared: SharedFollows
}

/**
 * graphql-transport-ws over WebSocket: graphql-ws keeps the protocol, Yoga's envelope parses, validates and executes, and
 * subscriptions that can be shared write their own frames.
 */
export function createSockets({ services, graphqlServer, shared }: SocketsParts): Sockets {
  const { audit, config, limits, logger, metrics } = services
  const admission = new Admission(services)
  const keepAlive = new KeepAlive(config.pingIntervalMs)
  let isClosing = false
  const open = new Set<Socket>()
  let bytesOfClosed = 0
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: config.maxFrameBytes,
    perMessageDeflate: false,
    handleProtocols,
  })

  server.on('headers', (headers, request) => headers.push(`X-Request-Id: ${trailOf(request).requestId}`))

  const connectionRefused = ({ address, requestId }: Trail, errorCode: ErrorCode): void =>
    audit.note({ action: 'connect', userId: null, address, requestId, errorCode })

  const protocol = makeServer<Record<string, unknown>, Extra>({
    // ours is forgotten once it is over
    connectionInitWaitTimeout: 0,
    async onConnect(connection) {
      const { extra, connectionParams } = connection
      clearTimeout(extra.initTimer)
      extra.initTimer = undefined
      // it holds a token, and would be kept as long as the socket
      Object.assign(connection, { connectionParams: undefined })
      try {
        const authorization = connectionParams?.authorization ?? connectionParams?.Authorization
        await limits.token(extra.asker.address, authorization ?? extra.cookieToken, () =>
          admission.signIn(extra, authorization),
        )
        const { viewer } = extra.asker
        // whoever has too many sockets is known, and let go again
        const isOpen = extra.socket.readyState === extra.socket.OPEN
        if (viewer) noteSignIn(audit, extra.trail, viewer.id, isOpen ? null : 'RATE_LIMITED')
        return true
      } catch (error) {
        if (!(error instanceof ParleyError)) throw error
        noteSignIn(audit, extra.trail, null, error.code)
        // a client drops a token for the one, and comes again with it for the other
        const isLater = error instanceof ProviderUnavailableError || error instanceof RateLimitedError
        extra.socket.close(isLater ? 1013 : 4403, error.message.slice(0, 100))
        return false
      }
    },
    onSubscribe: (connection, id, payload) => prepare(connection as Connection, id, payload),
    execute: (args) => (args as SocketOperation).executeWith(args),
    async subscribe(args) {
      const startedAt = performance.now()
      const joined = await shared.subscribe(args, (args as SocketOperation).delivery)
      const result = joined ?? (await subscribe(args))
      subscriptionDone(args, result, startedAt)
      if (!joined) return result
      // graphql-ws keeps the arguments for as long as the subscription lasts, and nothing reads these any more
      Object.assign(args, { contextValue: undefined, executeWith: undefined, delivery: undefined })
      return joined
    },
  })

  async function prepare(
    { extra, subscriptions }: Connection,
    id: string,
    payload: SubscribePayload,
  ): Promise<SocketOperation | readonly GraphQLError[]> {
    const limit = config.maxSubscriptionsPerSocket
    const trail = createTrail(`${extra.trail.requestId}.${++extra.operations}`, extra.asker.address)
    const refused = (errors: readonly GraphQLError[]): readonly GraphQLError[] => {
      operationRefused(services, trail, errors)
      return errors
    }
    try {
      if (Object.keys(subscriptions).length > limit)
        throw new RateLimitedError(`At most ${limit} operations at once on one connection.`, 1000)
      const authorization = authorizationIn(payload)
      if (authorization !== undefined || !extra.asker.viewer) await signInAgain(extra, authorization, trail)
    } catch (error) {
      if (error instanceof ParleyError) return refused([toGraphQLError(error)])
      throw error
    }
    const operation = await prepareOperation(graphqlServer, payload, { ...extra.asker, trail })
    if (!('document' in operation)) return refused(operation)
    // graphql-ws keeps it as long as the subscription, and reads no more of it
    Object.assign(payload, { query: '' })
    const opening = `{"id":${JSON.stringify(id)},"type":"next","payload":`
    return { ...operation, delivery: { outlet: extra.outlet, opening, closing: '}' } }
  }

  async function signInAgain(extra: Extra, authorization: unknown, trail: Trail): Promise<void> {
    const before = extra.asker.credential?.id
    await limits.token(extra.asker.address, authorization, () => admission.signInAgain(extra, authorization))
    const { viewer, credential } = extra.asker
    if (viewer && credential?.id !== before) noteSignIn(audit, trail, viewer.id)
  }

  function accept(socket: WebSocket, request: IncomingMessage): void {
    const trail = trailOf(request)
    const { requestId } = trail
    // for the closures below, which live as long as the socket: they would keep the whole request
    const connection = request.socket
    metrics.requestDone('websocket', 101)
    open.add(connection)
    const extra: Extra = {
      socket,
      outlet: new SocketOutlet(
        socket,
        connection,
        { maxBufferBytes: config.maxSocketBufferBytes, stuckTimeoutMs: config.stuckSocketTimeoutMs },
        metrics.traffic,
      ),
      asker: askerOf(null, trail.address),
      cookieToken: isOwnPage(request, config.allowedOrigins) ? tokenIn(request) : undefined,
      release: [],
      trail,
      initTimer: setTimeout(
        () => socket.close(4408, 'Connection initialisation timeout'),
        config.connectionInitTimeoutMs,
      ),
      operations: 0,
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
            handle(read(data)).catch((error: unknown) => {
              if (socket.readyState !== socket.OPEN) return
              // graphql-ws throws at what only a server says, and its error has no type of its own
              if ((error as Error).message.startsWith('Unexpected message of type'))
                return socket.close(4400, 'Not a message of a client')
              logger.error('a WebSocket message could not be handled', { error, requestId })
              socket.close(1011, 'Internal error')
            })
          }),
      },
      extra,
    )
    // e.g. a frame that is too large: ws closes the socket with the code that belongs to it by itself
    socket.on('error', (error) => {
      logger.debug('a WebSocket failed', { error, requestId })
      if ('code' in error && error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH')
        connectionRefused(trail, 'INVALID_INPUT')
    })
    const forget = keepAlive.add(socket, extra.outlet)
    socket.once('close', (code, reason) => {
      forget()
      clearTimeout(extra.initTimer)
      open.delete(connection)
      bytesOfClosed += connection.bytesWritten
      for (const undo of extra.release) undo()
      closed(code, reason.toString()).catch((error: unknown) =>
        logger.error('a WebSocket did not close', { error, requestId }),
      )
    })
  }

  return {
    upgrade(request, socket, head) {
      const trail = startTrail(services, request)
      const refuseWith = (status: number, reason: string): void => {
        metrics.requestDone('websocket', status)
        refuse(socket, `${status} ${reason}`, trail.requestId)
      }
      if (isClosing) return refuseWith(503, 'Service Unavailable')
      if (pathOf(request) !== '/graphql') return refuseWith(404, 'Not Found')
      if (!isAllowedOrigin(request, config.allowedOrigins)) {
        connectionRefused(trail, 'FORBIDDEN')
        return refuseWith(403, 'Forbidden')
      }
      server.handleUpgrade(request, socket, head, (webSocket) => accept(webSocket, request))
    },
    count: () => server.clients.size,
    bytesSent: () => [...open].reduce((sum, { bytesWritten }) => sum + bytesWritten, bytesOfClosed),
    async close(spreadMs, hurry) {
      isClosing = true
      const clients = [...server.clients]
      const closeOne = (client: WebSocket): void => client.close(1012, 'Service restart')
      const timers = clients.map((client) => setTimeout(() => closeOne(client), Math.random() * spreadMs))
      hurry?.addEventListener('abort', () => clients.forEach(closeOne), { once: true })
      // who does not answer the close within two seconds is cut off
      timers.push(setTimeout(() => server.clients.forEach((client) => client.terminate()), spreadMs + 2_000))
      keepAlive.stop()
      await new Promise<void>((resolve) => server.close(() => resolve()))
      for (const timer of timers) clearTimeout(timer)
    },
  }
}

const textOf = (data: RawData): string =>
  (Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer)).toString()

/**
 * A message, parsed: graphql-ws takes it so too, and keeps what it was given as long as the subscription that it asks for.
 * As text where it is not JSON, of which graphql-ws says so.
 */
function read(data: RawData): string {
  const text = textOf(data)
  try {
    const message = JSON.parse(text) as string
    // graphql-ws would parse once more what is a text in JSON, and take for a message what is none
    return typeof message === 'string' ? text : message
  } catch {
    return text
  }
}
