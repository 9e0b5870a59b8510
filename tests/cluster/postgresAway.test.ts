import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { faultsOf, Follower } from '../../faults/support/follower.ts'
import { openStored, readAnswer, type Stored } from '../../faults/support/stored.ts'
import { startRedis, type RedisServer } from '../../scripts/support/startRedis.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { openSocket, post, signIn, type Person } from '../support/clients.ts'
import { text } from '../support/fakeModelServer.ts'
import { createSession, send, trySend } from '../support/operations.ts'
import { createDatabase } from '../support/postgres.ts'
import { startProxy, type Proxy } from '../support/proxy.ts'

const calls = [
  `query ($id: ID!) { session(id: $id) { title lastSeq messages(last: 5) { totalCount } } }`,
  `mutation ($id: ID!) { updateSession(input: { sessionId: $id, title: "lost" }) { __typename } }`,
  `mutation ($id: ID!) { sendMessage(input: { sessionId: $id, content: "lost" }) { __typename } }`,
]

describe.each(['one node', 'two nodes'] as const)('%s on a PostgreSQL that goes away under load', (size) => {
  let toPostgres: Proxy
  let redis: RedisServer
  let stored: Stored
  let nodes: TestApp[] = []
  let drop: () => Promise<void>
  let ada: Person
  let sessionIds: string[]
  let followers: Follower[]

  beforeAll(async () => {
    const database = await createDatabase()
    drop = () => database.drop()
    const url = new URL(database.url)
    toPostgres = await startProxy({ port: Number(url.port) })
    url.port = String(toPostgres.port)
    redis = await startRedis()
    const env = {
      DATABASE_URL: url.href,
      REDIS_URL: redis.url,
      // what is open at one end only is bounded by it, so that with 15 s the test would take as long
      DATABASE_TIMEOUT_MS: '2000',
      // what becomes of answers whose lease ran out meanwhile is another test's
      LEASE_MS: '60000',
    }
    nodes = await Promise.all(Array.from({ length: size === 'one node' ? 1 : 2 }, () => startApp({ env })))
    stored = await openStored(database.url)
    ada = await signIn(nodes[0]!)
    sessionIds = [await createSession(nodes[0]!, ada), await createSession(nodes[0]!, ada)]
    followers = sessionIds.flatMap((sessionId) =>
      nodes.map(({ port }) => new Follower({ port, token: ada.token, sessionId })),
    )
  })
  afterAll(async () => {
    for (const follower of followers) await follower.stop()
    for (const node of nodes) await node.stop()
    await stored.close()
    await redis.stop()
    await toPostgres.stop()
    await drop()
  })

  /** Lets it go away in a way; resolves to what brings it back. */
  const ways: Record<string, () => () => void | Promise<void>> = {
    'refuses connections': () => {
      toPostgres.refuse()
      toPostgres.cutAll('rst')
      return () => toPostgres.accept()
    },
    'is shut down': () => {
      toPostgres.refuse()
      toPostgres.cutAll('fin')
      return () => toPostgres.accept()
    },
    'is open at one end only': () => {
      toPostgres.stallAll()
      toPostgres.cutAll('half-open')
      return () => toPostgres.resume()
    },
  }
  const ready = async ({ url }: TestApp) => (await fetch(`${url}/health/ready`)).status

  test.each(Object.entries(ways))(
    '%s: calls fail with a code and a sentence, and all is whole afterwards',
    async (way, strike) => {
      const answers = await Promise.all(
        nodes.flatMap((node, index) =>
          sessionIds.map(async (sessionId, n) => {
            const seed = `${way.replaceAll(' ', '')}${index}${n}`
            const { replyId } = await send(node, ada, sessionId, `Hello [[tokens=400 rate=100 seed=${seed}]]`)
            return { replyId, text: text(seed, 400) }
          }),
        ),
      )
      const isSeen = (id: string) => followers.some(({ texts }) => (texts.get(id)?.length ?? 0) > 100)
      await expect.poll(() => answers.every(({ replyId }) => isSeen(replyId))).toBe(true)

      const comeBack = strike()
      onTestFinished(async () => comeBack())
      const stranger = await nodes[0]!.services.identity.signIn({ ...unknown, subject: randomUUID() })
      for (const node of nodes) await expect.poll(() => ready(node), { timeout: 10_000 }).toBe(503)
      await Promise.all(
        nodes.flatMap((node) => [
          ...calls.map(async (call) => {
            const { body } = await post(node, call, { id: sessionIds[0] }, ada)
            expect(body.errors, call).toMatchObject([
              { message: expect.stringMatching(/database .* Try again/), extensions: { code: 'INTERNAL' } },
            ])
          }),
          // who that is can't be found out, which is not the same as being nobody
          post(node, '{ viewer { id } }', {}, { token: stranger }).then(({ status }) => expect(status).toBe(503)),
          post(node, '{ health { status } }').then(({ body }) =>
            expect(body.data).toEqual({ health: { status: 'UNHEALTHY' } }),
          ),
        ]),
      )
      const late = await openSocket(nodes[0]!, { token: ada.token })
      late.subscribe('1', 'subscription ($id: ID!) { sessionEvents(sessionId: $id) { seq } }', { id: sessionIds[0] })
      const [refusal] = await late.until('1', ({ type }) => type === 'complete')
      expect(refusal!.payload).toMatchObject({ errors: [{ extensions: { code: 'INTERNAL' } }] })
      await late.close()

      await comeBack()
      const backAt = performance.now()
      for (const node of nodes) await expect.poll(() => ready(node), { timeout: 10_000 }).toBe(200)
      const id = randomUUID()
      const content = 'Well again [[tokens=5]]'
      await expect
        .poll(
          async () =>
            (await trySend(nodes[0]!, ada, { sessionId: sessionIds[0], id, content }).catch(() => null))?.__typename,
          { timeout: 10_000 },
        )
        .toBe('SendMessageSuccess')
      expect(performance.now() - backAt).toBeLessThan(10_000)

      for (const { replyId, text } of answers) {
        await expect.poll(async () => (await readAnswer(stored, replyId))?.isRunning, { timeout: 20_000 }).toBe(false)
        const answer = (await readAnswer(stored, replyId))!
        expect(answer).toMatchObject({ ends: 1, deltasAfterEnd: 0, isWhole: true, status: 'COMPLETE', content: text })
        expect(answer.added).toBe(text)
        await expect
          .poll(() => followers.filter((follower) => follower.endings.has(replyId)).length, { timeout: 20_000 })
          .toBe(nodes.length)
      }
      expect(faultsOf(followers)).toEqual(Object.fromEntries(Object.keys(faultsOf([])).map((name) => [name, 0])))
    },
  )
})

const unknown = {
  id: '',
  name: 'Nobody yet',
  isNameChosen: false,
  isAdmin: false,
  createdAt: new Date(),
  lastSeenAt: null,
}
