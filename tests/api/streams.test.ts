import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { gql, officialClient, openSocket, signIn, urqlClient, type Person } from '../support/clients.ts'
import { text } from '../support/fakeModelServer.ts'
import { createSession, readMessage, send } from '../support/operations.ts'
import { startProxy, type Proxy } from '../support/proxy.ts'
import { createRandom, testRandom, type Random } from '../support/random.ts'
import { storageKinds } from '../support/storages.ts'

const query = `subscription Follow($sessionId: ID!, $after: Int) { sessionEvents(sessionId: $sessionId, after: $after) {
  __typename seq
  ... on MessageDelta { messageId offset text }
  ... on GenerationEnded { message { id content status } }
} }`

interface Event {
  __typename: string
  seq: number | null
  messageId?: string
  offset?: number
  text?: string
  message?: { id: string; content: string; status: string }
}

/** What one follower has: every event once and in order, or it throws. */
class Following {
  readonly contents = new Map<string, string>()
  readonly ended = new Map<string, { content: string; status: string }>()
  cursor = 0
  repeats = 0
  readonly #outcome = Promise.withResolvers<void>()
  readonly done = this.#outcome.promise

  take(event: Event): void {
    if (event.seq === null) return
    if (event.seq <= this.cursor) {
      this.repeats++
      return
    }
    this.cursor = event.seq
    if (event.messageId !== undefined) {
      const before = this.contents.get(event.messageId) ?? ''
      if (event.offset !== before.length)
        return this.fail(new Error(`seq ${event.seq} begins at ${event.offset}, not at ${before.length}`))
      this.contents.set(event.messageId, before + event.text!)
    }
    if (event.message) {
      this.ended.set(event.message.id, event.message)
      if (this.ended.size === answersEach) this.#outcome.resolve()
    }
  }

  fail(error: unknown): void {
    this.#outcome.reject(error)
  }
}

const answersEach = 2
const sessionCount = 10
const tokens = 300

/** Connects again and again with a socket that knows only frames; cuts itself off as it likes, too. */
async function followBare(port: number, person: Person, sessionId: string, random: Random): Promise<Following> {
  const following = new Following()
  const run = async (): Promise<void> => {
    let isOver = false
    void following.done.then(
      () => (isOver = true),
      () => (isOver = true),
    )
    while (!isOver) {
      const socket = await openSocket({ port }, { token: person.token }).catch(() => undefined)
      if (!socket) continue
      socket.subscribe('1', query, { sessionId, after: following.cursor })
      const until = random.int(20, 200)
      for (let count = 0; count < until && !isOver; count++) {
        const frame = await socket.nextOf('1').catch(() => undefined)
        if (frame?.type !== 'next') break
        following.take((frame.payload as { data: { sessionEvents: Event } }).data.sessionEvents)
      }
      await socket.close()
    }
  }
  void run().catch((error: unknown) => following.fail(error))
  return following
}

/** The official client, by itself or below urql, goes on by a getter for `after`. */
function followOfficial(
  app: TestApp,
  port: number,
  person: Person,
  sessionId: string,
  withUrql: boolean,
): { following: Following; stop(): Promise<void> } {
  const following = new Following()
  const sockets = officialClient({ port }, person.token)
  const variables = {
    sessionId,
    get after() {
      return following.cursor
    },
  }
  const next = ({ data, errors }: { data?: unknown; errors?: unknown }): void => {
    if (errors) return following.fail(errors)
    following.take((data as { sessionEvents: Event }).sessionEvents)
  }
  if (!withUrql) {
    const unsubscribe = sockets.subscribe(
      { query, variables },
      { next, error: (error) => following.fail(error), complete: () => undefined },
    )
    return {
      following,
      stop: async () => {
        unsubscribe()
        await sockets.dispose()
      },
    }
  }
  // urql takes a copy of the variables, so what resumes is a new subscription
  const urql = urqlClient(app, person.token, sockets)
  let subscription: { unsubscribe(): void } | undefined
  const subscribe = (): void => {
    subscription = urql.subscription(query, { sessionId, after: following.cursor }).subscribe(({ data, error }) => {
      if (error) return following.fail(error)
      if (data) next({ data })
    })
  }
  subscribe()
  let connected = 0
  sockets.on('connected', () => {
    if (connected++ === 0) return
    subscription?.unsubscribe()
    subscribe()
  })
  return {
    following,
    stop: async () => {
      subscription?.unsubscribe()
      await sockets.dispose()
    },
  }
}

describe.each(storageKinds)('ten sessions at once on %s, three followers each, cut at random', (storage) => {
  let app: TestApp
  let proxy: Proxy
  beforeAll(async () => {
    app = await startApp({ storage, env: { MAX_SOCKETS_PER_USER: '1000' } })
    proxy = await startProxy({ port: app.port })
  })
  afterAll(async () => {
    await proxy?.stop()
    await app?.stop()
  })

  it('loses, doubles and swaps nothing: every text is what was sent, and what is stored', async () => {
    const random = testRandom()
    proxy.cutRandomly({ random, afterBytes: [2_000, 60_000], ways: ['rst', 'fin'] })
    const people = await Promise.all(Array.from({ length: sessionCount }, (_, n) => signIn(app, `Person ${n}`)))
    const sessions = await Promise.all(
      people.map(async (person, n) => ({ n, person, sessionId: await createSession(app, person) })),
    )
    const all = await Promise.all(
      sessions.map(async ({ n, person, sessionId }) => {
        const official = followOfficial(app, proxy.port, person, sessionId, false)
        const urql = followOfficial(app, proxy.port, person, sessionId, true)
        const bare = await followBare(proxy.port, person, sessionId, createRandom(random.int(0, 2 ** 31)))
        const replies: { id: string; whole: string }[] = []
        for (let answer = 0; answer < answersEach; answer++) {
          const seed = `${storage}${n}-${answer}`
          const { replyId } = await send(app, person, sessionId, `n [[tokens=${tokens} rate=300 seed=${seed} unicode]]`)
          replies.push({ id: replyId, whole: text(seed, tokens, true) })
        }
        return { person, replies, official, urql, followings: [official.following, urql.following, bare] }
      }),
    )
    for (const { person, replies, followings, official, urql } of all) {
      await Promise.all(followings.map(({ done }) => done))
      for (const { id, whole } of replies) {
        expect(await readMessage(app, person, id)).toMatchObject({ status: 'COMPLETE', content: whole })
        for (const following of followings) {
          expect(following.contents.get(id)).toBe(whole)
          expect(following.ended.get(id)).toMatchObject({ status: 'COMPLETE', content: whole })
        }
      }
      await official.stop()
      await urql.stop()
    }
    expect(proxy.cuts).toBeGreaterThan(10)
    expect(app.logged.filter(({ level }) => level === 'error')).toEqual([])
    const { stats } = await gql<{ stats: { totalMessages: number } }>(app, '{ stats { totalMessages } }', {}, people[0])
    expect(stats.totalMessages).toBe(2 * answersEach)
  })
})
