import type { TypedDocumentNode } from '@graphql-typed-document-node/core'
import { Client as UrqlClient, fetchExchange, subscriptionExchange } from '@urql/core'
import { print } from 'graphql'
import { createClient, type Client as GraphqlWsClient, type ClientOptions } from 'graphql-ws'
import { WebSocket, type ClientOptions as SocketOptions } from 'ws'

type Variables = Record<string, unknown>

export interface GraphqlAnswer<Data = Record<string, unknown>> {
  data?: Data | null
  errors?: { message: string; path?: (string | number)[]; extensions?: Record<string, unknown> }[]
}

export interface Asked<Data> {
  status: number
  headers: Headers
  body: GraphqlAnswer<Data>
}

export interface Asking {
  token?: string | undefined
  headers?: Record<string, string>
}

/** One operation over HTTP, with whatever comes back. */
export async function post<Data = Record<string, unknown>>(
  { url }: { url: string },
  document: TypedDocumentNode<Data> | string,
  variables: Variables = {},
  { token, headers }: Asking = {},
): Promise<Asked<Data>> {
  const query = typeof document === 'string' ? document : print(document)
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json',
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...headers,
    },
    body: JSON.stringify({ query, variables }),
  })
  const text = await response.text()
  try {
    return { status: response.status, headers: response.headers, body: JSON.parse(text) as GraphqlAnswer<Data> }
  } catch {
    throw new Error(`Not JSON, status ${response.status}: ${text}\n${query}\n${JSON.stringify(variables)}`)
  }
}

/** The data of one operation over HTTP; an error prints the query, the variables and the whole answer. */
export async function gql<Data = Record<string, unknown>>(
  app: { url: string },
  document: TypedDocumentNode<Data> | string,
  variables: Variables = {},
  asking: Asking = {},
): Promise<Data> {
  const { status, body } = await post<Data>(app, document, variables, asking)
  if (status === 200 && body.data && !body.errors) return body.data
  const query = typeof document === 'string' ? document : print(document)
  throw new Error(
    `The operation failed with status ${status}.\n${query}\nvariables: ${JSON.stringify(variables, null, 2)}\nanswer: ${JSON.stringify(body, null, 2)}`,
  )
}

export interface Person {
  id: string
  name: string
  token: string
}

/** A new guest. */
export async function signIn(app: { url: string }, name = 'Ada'): Promise<Person> {
  const { signInAsGuest } = await gql<{ signInAsGuest: { token: string; user: { id: string } } }>(
    app,
    `mutation ($name: String!) { signInAsGuest(input: { name: $name }) {
      ... on SignInAsGuestSuccess { token user { id } } ... on Error { code message } } }`,
    { name },
  )
  return { id: signInAsGuest.user.id, name, token: signInAsGuest.token }
}

export interface Frame {
  type: string
  id?: string
  payload?: unknown
}

export interface ReceivedFrame extends Frame {
  /** The frame as it came. */
  raw: string
}

export interface BareOptions {
  protocols?: string | string[]
  origin?: string
  /** Sends connection_init with it and waits for the ack; null sends it without a token; undefined sends nothing. */
  token?: string | null | undefined
  socket?: SocketOptions
}

/** A client of graphql-transport-ws that knows nothing but frames: it sends what it is told and keeps what comes. */
export class BareSocket {
  readonly socket: WebSocket
  /** Resolves once the socket is closed. */
  readonly closed: Promise<{ code: number; reason: string }>
  /** Every frame that came. */
  readonly received: ReceivedFrame[] = []
  readonly #unread = new Set<ReceivedFrame>()
  /** The unread ones of each operation, since a search among those of many would take ever longer. */
  readonly #unreadOf = new Map<string, Set<ReceivedFrame>>()
  #changed = Promise.withResolvers<void>()
  #isClosed = false

  constructor(socket: WebSocket) {
    this.socket = socket
    this.closed = new Promise((resolve) =>
      socket.once('close', (code, reason) => {
        this.#isClosed = true
        this.#stir()
        resolve({ code, reason: String(reason) })
      }),
    )
    socket.on('error', () => undefined)
    socket.on('message', (data) => {
      const raw = String(data as Buffer)
      const frame = { ...(JSON.parse(raw) as Frame), raw }
      this.received.push(frame)
      this.#unread.add(frame)
      this.#queueOf(frame.id).add(frame)
      this.#stir()
    })
  }

  #stir(): void {
    const { resolve } = this.#changed
    this.#changed = Promise.withResolvers<void>()
    resolve()
  }

  send(frame: Frame | string): void {
    this.socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame))
  }

  subscribe(id: string, query: string, variables: Variables = {}, operationName?: string): void {
    this.send({ id, type: 'subscribe', payload: { query, variables, operationName } })
  }

  complete(id: string): void {
    this.send({ id, type: 'complete' })
  }

  /** The first frame not read yet that meets the condition; rejects where the socket closes before there is one. */
  next(isWanted: (frame: ReceivedFrame) => boolean = () => true): Promise<ReceivedFrame> {
    return this.#take(this.#unread, isWanted)
  }

  /** The next frame of an operation. */
  nextOf(id: string): Promise<ReceivedFrame> {
    return this.#take(this.#queueOf(id), () => true)
  }

  async #take(queue: Set<ReceivedFrame>, isWanted: (frame: ReceivedFrame) => boolean): Promise<ReceivedFrame> {
    while (true) {
      for (const frame of queue) {
        if (!isWanted(frame)) continue
        this.#unread.delete(frame)
        this.#queueOf(frame.id).delete(frame)
        return frame
      }
      if (this.#isClosed) {
        const last = this.received.slice(-5).map(({ raw }) => raw)
        throw new Error(`The socket was closed. The last frames were:\n${last.join('\n')}`)
      }
      await this.#changed.promise
    }
  }

  #queueOf(id = ''): Set<ReceivedFrame> {
    let queue = this.#unreadOf.get(id)
    if (!queue) this.#unreadOf.set(id, (queue = new Set()))
    return queue
  }

  /** Frames of an operation, up to and with the first that meets the condition. */
  async until(id: string, isLast: (frame: ReceivedFrame) => boolean): Promise<ReceivedFrame[]> {
    const frames: ReceivedFrame[] = []
    while (true) {
      const frame = await this.nextOf(id)
      frames.push(frame)
      if (isLast(frame)) return frames
    }
  }

  /** Asks and waits for what comes back: everything that was sent before has been handled then. */
  async roundTrip(): Promise<void> {
    this.send({ type: 'ping' })
    await this.next(({ type }) => type === 'pong')
  }

  async close(): Promise<void> {
    if (!this.#isClosed) this.socket.terminate()
    await this.closed
  }
}

const protocol = 'graphql-transport-ws'

/** Opens a bare socket, and greets where a token (or null) is given. */
export async function openSocket(app: { port: number }, options: BareOptions = {}): Promise<BareSocket> {
  const { protocols = protocol, origin, token, socket = {} } = options
  const webSocket = new WebSocket(`ws://127.0.0.1:${app.port}/graphql`, protocols, { origin, ...socket })
  const bare = new BareSocket(webSocket)
  await new Promise<void>((resolve, reject) => webSocket.once('open', resolve).once('error', reject))
  if (token !== undefined) {
    bare.send({ type: 'connection_init', payload: token === null ? {} : { authorization: `Bearer ${token}` } })
    await bare.next(({ type }) => type === 'connection_ack')
  }
  return bare
}

/** Status of an upgrade that is refused. */
export async function refusedUpgrade(
  app: { port: number },
  path: string,
  options: SocketOptions = {},
): Promise<number> {
  const socket = new WebSocket(`ws://127.0.0.1:${app.port}${path}`, protocol, options)
  socket.on('error', () => undefined)
  return new Promise((resolve, reject) => {
    socket.once('unexpected-response', (request, response) => {
      resolve(response.statusCode ?? 0)
      response.resume()
      request.destroy()
    })
    socket.once('open', () => {
      socket.terminate()
      reject(new Error('The socket was opened.'))
    })
  })
}

/** The official client, reconnecting at once and for ever. */
export function officialClient(
  app: { port: number },
  token: string,
  options: Partial<ClientOptions> = {},
): GraphqlWsClient {
  return createClient({
    url: `ws://127.0.0.1:${app.port}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${token}` },
    retryAttempts: Infinity,
    shouldRetry: () => true,
    retryWait: async () => undefined,
    ...options,
  })
}

/** urql's core client: queries and mutations over HTTP, subscriptions over `sockets`. */
export function urqlClient({ url }: { url: string }, token: string, sockets: GraphqlWsClient): UrqlClient {
  return new UrqlClient({
    url: `${url}/graphql`,
    preferGetMethod: false,
    fetchOptions: { headers: { authorization: `Bearer ${token}` } },
    exchanges: [
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query, variables }) => ({
          subscribe: (sink) => ({
            unsubscribe: sockets.subscribe({ query: query!, variables: variables as Variables }, sink as never),
          }),
        }),
      }),
    ],
  })
}
