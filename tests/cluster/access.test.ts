import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { startRedis, type RedisServer } from '../../scripts/support/startRedis.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { gql, post, signIn, type GraphqlAnswer, type Person } from '../support/clients.ts'
import { openFollowing, streams, type Following, type StreamTransport } from '../support/followings.ts'
import { createSession, mutate, send } from '../support/operations.ts'
import { createDatabase } from '../support/postgres.ts'

const graceMs = 1_000

const subscriptions = {
  sessionEvents: 'subscription ($sessionId: ID!) { sessionEvents(sessionId: $sessionId) { __typename seq } }',
  resumed: 'subscription ($sessionId: ID!) { sessionEvents(sessionId: $sessionId, after: 0) { __typename seq } }',
  typing: 'subscription ($sessionId: ID!) { typing(sessionId: $sessionId) { user { name } isTyping } }',
  messageDeltas: 'subscription ($messageId: ID!) { messageDeltas(messageId: $messageId) { text } }',
  viewerEvents: `subscription { viewerEvents { __typename ... on SessionUnlisted { sessionId }
    ... on SessionChanged { session { title } } } }`,
} as const
type Subscription = keyof typeof subscriptions
type Open = Record<Subscription, Following>

/** Patience for a busy machine; what must be quick is measured. */
const patiently = { timeout: 15_000 }

const codeOf = ({ errors }: GraphqlAnswer) => errors?.[0]?.extensions?.code

describe('a right that is taken on one node', () => {
  let redis: RedisServer
  let here: TestApp
  let there: TestApp
  let drop: () => Promise<void>
  const opened: Following[] = []

  beforeAll(async () => {
    const database = await createDatabase()
    drop = () => database.drop()
    redis = await startRedis()
    const env = { DATABASE_URL: database.url, REDIS_URL: redis.url, MAX_SOCKETS_PER_USER: '1000' }
    here = await startApp({ env })
    there = await startApp({ env })
  })
  afterEach(async () => void (await Promise.all(opened.splice(0).map((following) => following.close()))))
  afterAll(async () => {
    await here?.stop()
    await there?.stop()
    await redis?.stop()
    await drop?.()
  })

  const open = async (by: StreamTransport, name: Subscription, ids: Record<string, string>, person: Person) => {
    const query = subscriptions[name]
    const variables = Object.fromEntries(Object.entries(ids).filter(([id]) => query.includes(`$${id}:`)))
    const following = await openFollowing(there, by, { query, variables }, person.token)
    opened.push(following)
    return following
  }

  const invite = async (owner: Person, sessionId: string) =>
    (await mutate<{ token: string }>(here, owner, 'inviteToSession', { sessionId }, 'token')).token!

  /** A member who has every subscription open on the other node, each of which has given something. */
  async function followed(by: StreamTransport) {
    const owner = await signIn(here, 'Ada')
    const sessionId = await createSession(here, owner, { title: 'Ours' })
    const member = await signIn(there, 'Bob')
    const invitation = await invite(owner, sessionId)
    await mutate(there, member, 'joinSession', { token: invitation })
    const { replyId, generationId } = await send(here, owner, sessionId, 'Go on [[tokens=100000 rate=50]]')
    const ids = { sessionId, messageId: replyId }
    const names = Object.keys(subscriptions) as Subscription[]
    const followings = Object.fromEntries(
      await Promise.all(names.map(async (name) => [name, await open(by, name, ids, member)] as const)),
    ) as Open
    // nothing says when it has begun to listen
    await expect
      .poll(async () => {
        await mutate(here, owner, 'setTyping', { sessionId, isTyping: true })
        await mutate(here, owner, 'updateSession', { sessionId, title: 'Ours still' })
        return names.filter((name) => followings[name].results.length === 0)
      }, patiently)
      .toEqual([])
    return { owner, sessionId, member, invitation, generationId, followings, ids }
  }

  /** What comes of the session more than a second after the right was taken, while there is more and more to tell. */
  async function lateAfter(takenAt: number, owner: Person, sessionId: string, followings: Open): Promise<string[]> {
    while (performance.now() < takenAt + graceMs + 500) {
      await mutate(here, owner, 'setTyping', { sessionId, isTyping: true })
      await mutate(here, owner, 'updateSession', { sessionId, title: `At ${performance.now()}` })
      await delay(20)
    }
    return Object.entries(followings).flatMap(([name, { results }]) =>
      results
        .filter(({ at, result }) => 'data' in result && at > takenAt + graceMs)
        .map(({ result }) => `${name}: ${JSON.stringify(result)}`),
    )
  }

  const endings = (followings: Open) => () =>
    Object.values(followings).map(({ isOver, results }) => isOver && codeOf(results.at(-1)!.result))

  describe.each(streams)('over %s', (by) => {
    test.each([
      ['removed', 'removeParticipant'],
      ['gone', 'leaveSession'],
    ])('ends on the other within a second for who is %s, and nothing comes after', async (_what, name) => {
      const { owner, sessionId, member, invitation, generationId, followings, ids } = await followed(by)
      const input = name === 'leaveSession' ? { sessionId } : { sessionId, userId: member.id }
      await mutate(here, name === 'leaveSession' ? member : owner, name, input)
      const takenAt = performance.now()
      expect(await lateAfter(takenAt, owner, sessionId, followings)).toEqual([])
      await expect.poll(endings(followings), patiently).toEqual([...Array(4).fill('FORBIDDEN'), false])
      expect(followings.viewerEvents.raw).toContain('SessionUnlisted')

      for (const again of ['sessionEvents', 'resumed', 'typing', 'messageDeltas'] as const) {
        const following = await open(by, again, ids, member)
        await expect.poll(() => following.isOver, patiently).toBe(true)
        expect(
          following.results.map(({ result }) => codeOf(result)),
          again,
        ).toEqual(['NOT_FOUND'])
      }
      expect(await mutate(there, member, 'sendMessage', { sessionId, content: 'Still here' })).toMatchObject({
        code: 'NOT_FOUND',
      })
      const rejoined = await mutate(there, member, 'joinSession', { token: invitation })
      expect(rejoined.__typename).toBe(name === 'leaveSession' ? 'JoinSessionSuccess' : 'ForbiddenError')
      expect(await mutate(there, member, 'joinSession', { token: await invite(owner, sessionId) })).toMatchObject({
        __typename: 'JoinSessionSuccess',
      })
      await mutate(here, owner, 'stopGeneration', { generationId })
    })

    test('a member who is made a viewer reads on and writes no more, not by an older invitation either', async () => {
      const { owner, sessionId, member, invitation, generationId, followings } = await followed(by)
      const userId = member.id
      const write = () => mutate(there, member, 'sendMessage', { sessionId, content: 'Mine', respond: false })
      expect(await write()).toMatchObject({ __typename: 'SendMessageSuccess' })
      await mutate(here, owner, 'changeParticipantRole', { sessionId, userId, role: 'VIEWER' })
      expect(await write()).toMatchObject({ code: 'FORBIDDEN' })
      for (const [name, input] of [
        ['setTyping', { sessionId, isTyping: true }],
        ['stopGeneration', { generationId }],
      ] as const)
        expect(await mutate(there, member, name, input), name).toMatchObject({ code: 'FORBIDDEN' })
      await expect.poll(() => followings.sessionEvents.raw, patiently).toContain('ParticipantChanged')

      expect(await mutate(there, member, 'joinSession', { token: invitation })).toMatchObject({
        __typename: 'JoinSessionSuccess',
      })
      expect(await write()).toMatchObject({ code: 'FORBIDDEN' })
      expect(Object.values(followings).map(({ isOver }) => isOver)).toEqual(Array(5).fill(false))
      await mutate(there, member, 'joinSession', { token: await invite(owner, sessionId) })
      expect(await write()).toMatchObject({ __typename: 'SendMessageSuccess' })
      await mutate(here, owner, 'stopGeneration', { generationId })
    })

    test('a token that is signed out on one node reads nothing more on the other', async () => {
      const { owner, sessionId, member, followings } = await followed(by)
      await gql(here, 'mutation { signOut { __typename } }', {}, member)
      const takenAt = performance.now()
      expect(await lateAfter(takenAt, owner, sessionId, followings)).toEqual([])
      await expect.poll(() => Object.values(followings).every(({ isOver }) => isOver), patiently).toBe(true)
      const { body } = await post(there, '{ sessions { totalCount } }', {}, member)
      expect(codeOf(body)).toBe('UNAUTHENTICATED')
    })

    test('a session that is deleted says so and ends, and can not be followed again', async () => {
      const { owner, sessionId, member, followings, ids } = await followed(by)
      await mutate(here, owner, 'deleteSessions', { sessionIds: [sessionId] })
      const { viewerEvents, ...ofSession } = followings
      await expect.poll(() => Object.values(ofSession).every(({ isOver }) => isOver), patiently).toBe(true)
      await expect.poll(() => viewerEvents.raw, patiently).toContain('SessionUnlisted')
      for (const name of ['sessionEvents', 'resumed'] as const)
        expect(followings[name].results.at(-1)!.result, name).toMatchObject({
          data: { sessionEvents: { __typename: 'SessionDeleted' } },
        })
      const again = await open(by, 'resumed', ids, member)
      await expect.poll(() => again.isOver, patiently).toBe(true)
      expect(again.results.map(({ result }) => codeOf(result))).toEqual(['NOT_FOUND'])
    })
  })
})
