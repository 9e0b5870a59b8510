import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { GraphQLError, type ExecutionArgs } from 'graphql'
import { handleProtocols, makeServer, type Context as ProtocolContext, type SubscribePayload } from 'graphql-ws'
import { WebSocketServer, type WebSocket } from 'ws'
import type { Services } from '../context.ts'
import { ParleyError } from '../errors.ts'
import { addressOf, pathOf } from '../http/router.ts'
import type { Yoga } from '../http/yoga.ts'
import type { Asker } from '../resolvers/createContext.ts'
import { toGraphQLError } from '../schema/errors.ts'
import { subscribe } from '../schema/subscribe.ts'
import { SocketOutlet } from './outlet.ts'
import type { Delivery, SharedFollows } from './sharedFollow.ts'

interface Extra {
  socket: WebSocket
  outlet: SocketOutlet
  asker: Asker
  /** Undoes what a connection_init did: timers, presence. */
  release: (() => void)[]
}

type Connection = ProtocolContext<Record<string, unknown>, Extra>

export interface WebSocketParts {
  services: Services
  yoga: Yoga
  shared: SharedFollows
}

export interface Sockets {
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
  count(): number
  /** Closes every socket with 1012 (service restart), which clients answer by connecting again. */
  close(): Promise<void>
}

const longestTimerMs = 2 ** 31 - 1

/** Calls back at a time that may be further off than a timer reaches. Returns what calls it off. */
function at(time: Date, callback: () => void): () => void {
  let timer: NodeJS.Timeout
  const wait = (): void => {
    const leftMs = time.getTime() - Date.now()
    timer = setTimeout(leftMs > longestTimerMs ? wait : callback, Math.min(Math.max(leftMs, 0), longestTimerMs))
  }
  wait()
  return () => clearTimeout(timer)
}

/** Yoga notes the status of an HTTP answer in an error's extensions, and takes it out only there. */
function withoutHttp(error: GraphQLError): GraphQLError {
  const { http: _, ...extensions } = error.extensions
  return new GraphQLError(error.message, {
    nodes: error.nodes,
    source: error.source,
    positions: error.positions,
    path: error.path,
    extensions,
  })
}

function authorizationIn({ extensions }: SubscribePayload): unknown {
  const headers = extensions?.headers
  return typeof headers === 'object' && headers !== null && 'authorization' in headers
    ? headers.authorization
    : undefined
}

/** graphql-transport-ws over WebSocket: graphql-ws keeps the protocol, Yoga's envelope parses, validates and executes. */
export function createSockets({ services, yoga, shared }: WebSocketParts): Sockets {
  const { config, identity, logger, presence } = services
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: config.maxFrameBytes,
    perMessageDeflate: false,
    handleProtocols,
  })
  const perUser = new Map<string, number>()

  const protocol = makeServer<Record<string, unknown>, Extra>({
    connectionInitWaitTimeout: config.connectionInitTimeoutMs,
    async onConnect(connection) {
      const { extra } = connection as Connection
      const authorization = connection.connectionParams?.authorization ?? connection.connectionParams?.Authorization
      try {
        await signIn(extra, authorization)
        return true
      } catch (error) {
        if (!(error instanceof ParleyError)) throw error
        extra.socket.close(4403, error.message.slice(0, 100))
        return false
      }
    },
    onSubscribe: (connection, id, payload) => prepare(connection as Connection, id, payload),
    execute: (args) => (args as PreparedArgs).operation.execute(args),
    async subscribe(args) {
      const { delivery } = args as PreparedArgs
      return (await shared.subscribe(args, delivery)) ?? subscribe(args)
    },
  })

  /**
   * Makes the token's user the socket's.
   * @throws UnauthenticatedError for a token that is not valid
   */
  async function signIn(extra: Extra, authorization: unknown): Promise<void> {
    const verified = await identity.fromHeader(authorization == null ? null : String(authorization))
    if (!verified) return
    extra.asker = { ...extra.asker, viewer: verified.user, expiresAt: verified.expiresAt }
    admit(extra, verified)
  }

  /** Counts the socket as one of its user's, and closes it when their token ends. */
  function admit({ socket, release }: Extra, { user, expiresAt }: { user: { id: string }; expiresAt: Date }): void {
    const count = (perUser.get(user.id) ?? 0) + 1
    if (count > config.maxSocketsPerUser)
      return socket.close(4429, `At most ${config.maxSocketsPerUser} connections a user`)
    perUser.set(user.id, count)
    release.push(() => {
      const left = perUser.get(user.id)! - 1
      if (left === 0) perUser.delete(user.id)
      else perUser.set(user.id, left)
    })
    release.push(presence.connected(user.id))
    release.push(at(expiresAt, () => socket.close(4403, 'The token has expired')))
  }

  interface PreparedArgs extends ExecutionArgs {
    operation: Pick<ReturnType<Yoga['getEnveloped']>, 'execute'>
    delivery: Delivery
  }

  async function prepare(
    { extra, subscriptions }: Connection,
    id: string,
    payload: SubscribePayload,
  ): Promise<PreparedArgs | readonly GraphQLError[]> {
    const limit = config.maxSubscriptionsPerSocket
    if (Object.keys(subscriptions).length > limit)
      return [
        new GraphQLError(`At most ${limit} operations at once on one connection.`, {
          extensions: { code: 'RATE_LIMITED' },
        }),
      ]
    try {
      // GraphiQL sends its headers with each operation and not when it connects
      if (!extra.asker.viewer) await signIn(extra, authorizationIn(payload))
    } catch (error) {
      if (error instanceof ParleyError) return [toGraphQLError(error)]
      throw error
    }
    const { schema, parse, validate, execute, contextFactory } = yoga.getEnveloped({
      address: extra.asker.address,
      asker: extra.asker,
      request: requestStandIn,
      params: payload,
    } as never)
    const opening = `{"id":${JSON.stringify(id)},"type":"next","payload":`
    try {
      const document = parse(payload.query)
      const errors = validate(schema, document)
      if (errors.length > 0) return errors.map(withoutHttp)
      return {
        schema,
        document,
        operationName: payload.operationName,
        variableValues: payload.variables,
        contextValue: await contextFactory(),
        operation: { execute },
        delivery: { outlet: extra.outlet, frame: (shared) => `${opening}${shared}}` },
      }
    } catch (error) {
      if (error instanceof GraphQLError) return [withoutHttp(error)]
      throw error
    }
  }

  function accept(socket: WebSocket, request: IncomingMessage): void {
    const extra: Extra = {
      socket,
      outlet: new SocketOutlet(socket, request.socket, {
        maxBufferBytes: config.maxSocketBufferBytes,
        stuckTimeoutMs: config.stuckSocketTimeoutMs,
      }),
      asker: { viewer: null, expiresAt: null, address: addressOf(request) },
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
            handle(String(data)).catch((error: unknown) => {
              if (socket.readyState !== socket.OPEN) return
              logger.error('a WebSocket message could not be handled', { error })
              socket.close(1011, 'Internal error')
            })
          }),
      },
      extra,
    )
    // e.g. a frame that is too large: ws closes the socket with the code that belongs to it by itself
    socket.on('error', (error) => logger.debug('a WebSocket failed', { error }))
    keepAlive(socket, config.pingIntervalMs)
    socket.once('close', (code, reason) => {
      for (const undo of extra.release) undo()
      closed(code, String(reason)).catch((error: unknown) => logger.error('a WebSocket could not be closed', { error }))
    })
  }

  return {
    upgrade(request, socket, head) {
      if (pathOf(request) !== '/graphql') return refuse(socket, '404 Not Found')
      if (!isAllowedOrigin(request, config.allowedOrigins)) return refuse(socket, '403 Forbidden')
      server.handleUpgrade(request, socket, head, (webSocket) => accept(webSocket, request))
    },
    count: () => server.clients.size,
    async close() {
      for (const client of server.clients) client.close(1012, 'Service restart')
      const closing = new Promise<void>((resolve) => server.close(() => resolve()))
      const timer = setTimeout(() => server.clients.forEach((client) => client.terminate()), 2_000)
      await Promise.race([closing, new Promise((resolve) => setTimeout(resolve, 3_000).unref())])
      clearTimeout(timer)
    },
  }
}

/** Yoga's plugins want a request; over WebSocket there is none for an operation. */
const requestStandIn = new Request('http://websocket.invalid/graphql', { method: 'POST' })

function keepAlive(socket: WebSocket, intervalMs: number): void {
  let isAlive = true
  const timer = setInterval(() => {
    if (!isAlive) return socket.terminate()
    isAlive = false
    if (socket.readyState === socket.OPEN) socket.ping()
  }, intervalMs)
  socket.on('pong', () => (isAlive = true))
  socket.once('close', () => clearInterval(timer))
}

/** A browser says which page opens the socket; programs say nothing. */
function isAllowedOrigin({ headers }: IncomingMessage, allowed: readonly string[]): boolean {
  const { origin, host } = headers
  if (origin === undefined) return true
  return allowed.includes(origin) || (URL.canParse(origin) && new URL(origin).host === host)
}

function refuse(socket: Duplex, status: string): void {
  socket.on('error', () => undefined)
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}
