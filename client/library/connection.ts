import { createClient, MessageType, stringifyMessage, type Client } from 'graphql-ws'
import { createPause, fullJitter } from './backoff.ts'
import { createStore, type Store } from './store.ts'
import { RefusedToken, type Tokens } from './tokens.ts'

/** `idle` while nothing is subscribed to. */
export type ConnectionState = 'idle' | 'connecting' | 'live' | 'reconnecting'

export interface ConnectionOptions {
  /** Of the WebSocket, `ws:` or `wss:`. */
  url: string
  /** Asked for on every connect. */
  tokens: Tokens
  /** Default: the platform's own `WebSocket`. */
  webSocketImpl?: unknown
  /** Between pings. Default 12,000. */
  pingEveryMs?: number
  /** A connection that answers no ping for this long is given up. Default 5,000. */
  pongWithinMs?: number
  /** One that is not made by then is given up, and tried again. Default 15,000. */
  connectWithinMs?: number
  /** The first wait before a reconnect is up to this long; it doubles with every failure, up to 20 s. Default 500. */
  retryWithinMs?: number
}

export interface Connection {
  client: Client
  state: Store<ConnectionState>
  /** Counts connections that were made after one was lost; whoever can't resume reads again when it changes. */
  reconnects: Store<number>
  /** Close code of the last lost connection, where there was one. */
  lastCloseCode: Store<number | undefined>
  /** The token that the newest socket was opened with. */
  readonly token: string | undefined
  /** Waits out full jitter, at most 20 s, or until `wake`. */
  wait(failures: number): Promise<void>
  /**
   * Tries again at once, and asks an open connection whether it is still there: for when the machine came online or the
   * page is seen again, after which a socket may look open and be dead.
   */
  wake(): void
  /** Connects anew, as with another token. */
  restart(): void
  close(): void
}

interface Socket {
  readyState: number
  send(text: string): void
}
type SocketClass = new (...args: unknown[]) => { addEventListener(type: 'error', listener: () => void): void }

/** A WebSocket that reconnects for ever and says how it is doing. */
export function createConnection({
  url,
  tokens,
  webSocketImpl,
  pingEveryMs = 12_000,
  pongWithinMs = 5_000,
  connectWithinMs = 15_000,
  retryWithinMs = 500,
}: ConnectionOptions): Connection {
  const state = createStore<ConnectionState>('idle')
  const reconnects = createStore(0)
  const lastCloseCode = createStore<number | undefined>(undefined)
  const pause = createPause()
  const wait = (failures: number) => pause.wait(fullJitter(failures, { baseMs: retryWithinMs }))
  let wasLive = false
  let socket: Socket | undefined
  let token: string | undefined
  let isRefused = false
  let pongTimer: ReturnType<typeof setTimeout> | undefined
  let connectTimer: ReturnType<typeof setTimeout> | undefined

  function expectPong() {
    clearTimeout(pongTimer)
    // A network that vanished without a word leaves the socket open: only a missing pong tells.
    pongTimer = setTimeout(() => client.terminate(), pongWithinMs)
  }

  function stopTimers() {
    clearTimeout(pongTimer)
    clearTimeout(connectTimer)
  }

  const client = createClient({
    url,
    webSocketImpl: withErrorsHeard(webSocketImpl ?? globalThis.WebSocket),
    async connectionParams() {
      isRefused = false
      token = await tokens.get().catch((error) => {
        isRefused = error instanceof RefusedToken
        throw error
      })
      return token ? { authorization: `Bearer ${token}` } : {}
    },
    keepAlive: pingEveryMs,
    lazyCloseTimeout: 3_000,
    retryAttempts: Infinity,
    shouldRetry: (reason) => !(reason instanceof RefusedToken),
    retryWait: wait,
    on: {
      connecting: () => {
        clearTimeout(connectTimer)
        connectTimer = setTimeout(() => client.terminate(), connectWithinMs)
        state.set(wasLive ? 'reconnecting' : 'connecting')
      },
      connected: (connected) => {
        clearTimeout(connectTimer)
        socket = connected as Socket
        lastCloseCode.set(undefined)
        if (wasLive) reconnects.set(reconnects.get() + 1)
        wasLive = true
        state.set('live')
      },
      ping: (received) => {
        if (!received) expectPong()
      },
      pong: (received) => {
        if (received) clearTimeout(pongTimer)
      },
      error: stopTimers,
      closed: (event) => {
        stopTimers()
        socket = undefined
        const { code } = event as { code?: number }
        lastCloseCode.set(code)
        if (code === 4403) tokens.refuse(token)
        const isOver = code === 1000 || isRefused
        if (isOver) wasLive = false
        state.set(isOver ? 'idle' : wasLive ? 'reconnecting' : 'connecting')
      },
    },
  })

  return {
    client,
    state,
    reconnects,
    lastCloseCode,
    get token() {
      return token
    },
    wait,
    wake() {
      pause.wake()
      if (socket?.readyState !== 1) return
      socket.send(stringifyMessage({ type: MessageType.Ping }))
      expectPong()
    },
    restart: () => client.terminate(),
    close() {
      stopTimers()
      pause.wake()
      // It rejects where a connection was being made, and failed.
      Promise.resolve(client.dispose()).catch(() => {})
    },
  }
}

/** graphql-ws takes its listener off a socket that it gives up; ws then throws the error of a failed connect at all. */
function withErrorsHeard(webSocketImpl: unknown): unknown {
  if (typeof webSocketImpl !== 'function') return webSocketImpl
  return class extends (webSocketImpl as SocketClass) {
    constructor(...args: unknown[]) {
      super(...args)
      this.addEventListener('error', () => {})
    }
  }
}
