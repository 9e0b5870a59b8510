import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buildSchema, execute, GraphQLError, subscribe as subscribeTo, validate } from 'graphql'
import { useServer as serve } from 'graphql-ws/use/ws'
import { gql, type OperationResult } from '@urql/core'
import { afterEach, expect, test } from 'vitest'
import { pipe, subscribe } from 'wonka'
import { WebSocket, WebSocketServer } from 'ws'
import { createParleyClient, type ParleyClientOptions } from '../../client/library/client.ts'

const schema = buildSchema(`
  type Query { ok: Boolean }
  type Event { seq: Int, text: String! }
  type Subscription { sessionEvents(sessionId: ID!, after: Int): Event! }
`)

const SessionEvents = gql`
  subscription ($sessionId: ID!, $after: Int) {
    sessionEvents(sessionId: $sessionId, after: $after) {
      seq
      text
    }
  }
`

const stops: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

interface Log {
  url: string
  /** Seqs of events that can't be shown. */
  broken: Set<number>
  /** The `after` of every subscription that was made. */
  asked: (number | null | undefined)[]
  /** Sends events up to this seq, and ends what is subscribed there as told. */
  reach(seq: number, end?: 'complete' | 'error' | 'forbid' | ((socket: WebSocket) => void)): void
  sockets: Set<WebSocket>
  /** Resolves when the next subscription is made. */
  subscribed(): Promise<void>
}

/** A real WebSocket server with one session's log in it. */
async function serveLog(): Promise<Log> {
  const asked: Log['asked'] = []
  const broken: Log['broken'] = new Set()
  let last = 0
  let ending: { at: number; how: 'complete' | 'error' | 'forbid' } | undefined
  const wakes: (() => void)[] = []
  const told: (() => void)[] = []

  async function* sessionEvents({ after }: { after?: number | null }) {
    asked.push(after)
    for (const tell of told.splice(0)) tell()
    for (let seq = (after ?? last) + 1; ; seq++) {
      while (seq > last || (ending && seq > ending.at)) {
        const how = ending?.how
        ending = undefined
        if (how === 'complete') return
        if (how === 'error') throw new Error('busy')
        if (how === 'forbid') throw new GraphQLError('no', { extensions: { code: 'FORBIDDEN' } })
        await new Promise<void>((resolve) => wakes.push(resolve))
      }
      yield { sessionEvents: { seq, text: broken.has(seq) ? undefined : `${seq}` } }
    }
  }

  const http = createServer()
  const wss = new WebSocketServer({ server: http })
  const cleanup = serve(
    // All of one copy of graphql: the schema of one is a stranger to another.
    { schema, execute, subscribe: subscribeTo, validate, roots: { subscription: { sessionEvents } } },
    wss,
  )
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  stops.push(async () => {
    await cleanup.dispose()
    http.close()
  })
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    asked,
    broken,
    sockets: wss.clients,
    subscribed: () => new Promise((resolve) => told.push(resolve)),
    reach(seq, end) {
      last = seq
      if (typeof end === 'string') ending = { at: seq, how: end }
      for (const wake of wakes.splice(0)) wake()
      if (typeof end === 'function') for (const socket of wss.clients) end(socket)
    },
  }
}

/** Follows the log with the library; `until(seq)` resolves once that event is here. */
function followLog(url: string, options: Partial<ParleyClientOptions> = {}) {
  const connection = { webSocketImpl: WebSocket, retryWithinMs: 5, ...options.connection }
  const client = createParleyClient({ url, ...options, connection })
  const seqs: number[] = []
  const waiting = new Map<number, () => void>()
  const failed = Promise.withResolvers<OperationResult>()
  const { unsubscribe } = pipe(
    client.subscription(SessionEvents, { sessionId: 's', after: 0 }),
    subscribe((result) => {
      if (result.error) return failed.resolve(result)
      const { seq } = result.data.sessionEvents
      seqs.push(seq)
      waiting.get(seq)?.()
    }),
  )
  stops.push(() => client.close(), unsubscribe)
  return {
    client,
    seqs,
    failed: failed.promise,
    until: (seq: number) =>
      new Promise<void>((resolve) => (seqs.includes(seq) ? resolve() : waiting.set(seq, resolve))),
  }
}

const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1)

test('every event comes once and in order, however the subscription is cut', async () => {
  const log = await serveLog()
  const subscribed = log.subscribed()
  const { seqs, until } = followLog(log.url)
  await subscribed
  const cuts: Parameters<Log['reach']>[1][] = [
    (socket) => socket.terminate(),
    'complete',
    (socket) => socket.close(1011, 'internal'),
    'error',
    (socket) => socket.close(4500, 'internal'),
    (socket) => socket.close(1012, 'restart'),
    (socket) => socket.close(1013, 'lagging'),
    (socket) => socket.close(4429, 'too many'),
  ]
  let last = 0
  for (const cut of cuts) {
    log.reach((last += 20), cut)
    log.reach((last += 20))
    await until(last)
  }
  expect(seqs).toEqual(upTo(last))
  expect(log.asked).toHaveLength(cuts.length + 1)
})

test('a server that is silent is left, and the next one is asked to go on', async () => {
  const log = await serveLog()
  const { seqs, until } = followLog(log.url, {
    connection: { webSocketImpl: WebSocket, retryWithinMs: 5, pingEveryMs: 20, pongWithinMs: 30 },
  })
  log.reach(3)
  await until(3)
  const silenced = [...log.sockets]
  stops.push(() => silenced.forEach((socket) => socket.terminate()))
  const again = log.subscribed()
  // As when a network vanishes: the socket stays open, and nothing comes out of it any more.
  for (const socket of silenced) socket.pause()
  await again
  log.reach(6)
  await until(6)
  expect(seqs).toEqual(upTo(6))
  expect(log.asked).toEqual([0, 3])
})

test('being forbidden ends it with that error', async () => {
  const log = await serveLog()
  const { failed, until } = followLog(log.url)
  log.reach(2)
  await until(2)
  log.reach(2, 'forbid')
  const { data, error, hasNext } = await failed
  expect({ data, hasNext }).toEqual({ data: undefined, hasNext: false })
  expect(error?.graphQLErrors[0]?.extensions.code).toBe('FORBIDDEN')
  expect(log.asked).toEqual([0])
})

test('an event that could not be shown is told once, and those after it come as if nothing had been', async () => {
  const log = await serveLog()
  log.broken.add(2)
  const client = createParleyClient({ url: log.url, connection: { webSocketImpl: WebSocket, retryWithinMs: 5 } })
  const told: unknown[] = []
  const done = Promise.withResolvers<void>()
  const { unsubscribe } = pipe(
    client.subscription(SessionEvents, { sessionId: 's', after: 0 }),
    subscribe(({ data, error, hasNext }) => {
      told.push([data?.sessionEvents.seq ?? data, error !== undefined, hasNext])
      if (data?.sessionEvents.seq === 4) done.resolve()
    }),
  )
  stops.push(() => client.close(), unsubscribe)
  log.reach(4)
  await done.promise
  expect(told).toEqual([
    [1, false, true],
    [null, true, true],
    [3, false, true],
    [4, false, true],
  ])
  expect(log.asked).toEqual([0])
})

test('the connection says how it is doing', async () => {
  const log = await serveLog()
  const { client, until } = followLog(log.url)
  const states: string[] = []
  client.connection.state.subscribe(() => states.push(client.connection.state.get()))
  log.reach(1)
  await until(1)
  log.reach(1, (socket) => socket.terminate())
  log.reach(2)
  await until(2)
  expect(states).toEqual(['connecting', 'live', 'reconnecting', 'live'])
  expect(client.connection.reconnects.get()).toBe(1)
})

test('a machine that comes back online doesn’t wait out the rest of its pause', async () => {
  const log = await serveLog()
  const { client, seqs, until } = followLog(log.url, {
    connection: { webSocketImpl: WebSocket, retryWithinMs: 3_600_000 },
  })
  log.reach(1)
  await until(1)
  const lost = new Promise<void>((resolve) => client.connection.state.subscribe(resolve))
  log.reach(2, (socket) => socket.terminate())
  await lost
  setImmediate(client.connection.wake)
  await until(2)
  expect(seqs).toEqual([1, 2])
})

test('what is intercepted goes no further', async () => {
  const log = await serveLog()
  const even: unknown[] = []
  const { seqs, until } = followLog(log.url, {
    intercept: (event) => Number(event.seq) % 2 === 0 && even.push(event.seq) > 0,
  })
  log.reach(5)
  await until(5)
  expect(seqs).toEqual([1, 3, 5])
  expect(even).toEqual([2, 4])
})
