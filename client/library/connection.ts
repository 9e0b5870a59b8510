import { createClient, type Client } from 'graphql-ws'
import { createPause, fullJitter } from './backoff.ts'
import { createStore, type Store } from './store.ts'

/** `idle` while nothing is subscribed to. */
export type ConnectionState = 'idle' | 'connecting' | 'live' | 'reconnecting'

export interface ConnectionOptions {
  /** Of the WebSocket, `ws:` or `wss:`. */
  url: string
  /** Asked for on every connect. */
  token: () => string | undefined
  webSocketImpl?: unknown
  /** Between pings. Default 12,000. */
  pingEveryMs?: number
  /** A connection that answers no ping for this long is given up. Default 5,000. */
  pongWithinMs?: number
  /** The first wait before a reconnect is up to this long; it doubles with every failure. Default 500. */
  retryWithinMs?: number
}

export interface Connection {
  client: Client
  state: Store<ConnectionState>
  /** Counts connections that were made after one was lost; whoever can't resume reads again when it changes. */
  reconnects: Store<number>
  /** Close code of the last lost connection, where there was one. */
  lastCloseCode: Store<number | undefined>
  /** Waits out full jitter, at most 20 s, or until `wake`. */
  wait(failures: number): Promise<void>
  /** Tries again at once, e.g. because the machine came online or the page became visible. */
  wake(): void
  close(): void
}

/** A WebSocket that reconnects for ever and says how it is doing. */
export function createConnection({
  url,
  token,
  webSocketImpl,
  pingEveryMs = 12_000,
  pongWithinMs = 5_000,
  retryWithinMs = 500,
}: ConnectionOptions): Connection {
  const state = createStore<ConnectionState>('idle')
  const reconnects = createStore(0)
  const lastCloseCode = createStore<number | undefined>(undefined)
  const pause = createPause()
  const wait = (failures: number) => pause.wait(fullJitter(failures, { baseMs: retryWithinMs }))
  let wasLive = false
  let pongTimer: ReturnType<typeof setTimeout> | undefined

  const client = createClient({
    url,
    webSocketImpl,
    connectionParams: () => {
      const current = token()
      return current ? { authorization: `Bearer ${current}` } : {}
    },
    keepAlive: pingEveryMs,
    lazyCloseTimeout: 3_000,
    retryAttempts: Infinity,
    shouldRetry: () => true,
    retryWait: wait,
    on: {
      connecting: () => state.set(wasLive ? 'reconnecting' : 'connecting'),
      connected: () => {
        lastCloseCode.set(undefined)
        if (wasLive) reconnects.set(reconnects.get() + 1)
        wasLive = true
        state.set('live')
      },
      ping: (received) => {
        // A network that vanished without a word leaves the socket open: only a missing pong tells.
        if (!received) pongTimer = setTimeout(() => client.terminate(), pongWithinMs)
      },
      pong: (received) => {
        if (received) clearTimeout(pongTimer)
      },
      closed: (event) => {
        clearTimeout(pongTimer)
        const { code } = event as { code?: number }
        lastCloseCode.set(code)
        if (code === 1000) wasLive = false
        state.set(code === 1000 ? 'idle' : wasLive ? 'reconnecting' : 'connecting')
      },
    },
  })

  return {
    client,
    state,
    reconnects,
    lastCloseCode,
    wait,
    wake: () => pause.wake(),
    close() {
      clearTimeout(pongTimer)
      pause.wake()
      void client.dispose()
    },
  }
}
