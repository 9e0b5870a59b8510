import { afterAll, beforeAll, expect, test } from 'vitest'
import { foldDelta, uuidv7 } from '../../client/library/index.ts'
import { signToken, startApp, type TestApp } from '../support/app.ts'
import { gql as ask, signIn, type Person } from '../support/clients.ts'
import { text } from '../support/fakeModelServer.ts'
import { createSession, send } from '../support/operations.ts'
import { testRandom } from '../support/random.ts'
import { follow, open, proxied, type FollowedEvent } from './followSession.ts'

let app: TestApp

beforeAll(async () => {
  app = await startApp()
})
afterAll(() => app.stop())

const isEnd = ({ __typename }: FollowedEvent) => __typename === 'GenerationEnded'
const titled = (title: string) => (event: FollowedEvent) => event.session?.title === title

async function rename(viewer: Person, sessionId: string, title: string): Promise<void> {
  await ask(
    app,
    `mutation ($input: UpdateSessionInput!) { updateSession(input: $input) { ... on UpdateSessionSuccess { session { id } } } }`,
    { input: { sessionId, title } },
    viewer,
  )
}

/** Everything that was said in a session, as the server has it. */
async function messagesOf(viewer: Person, sessionId: string) {
  const { session } = await ask<{
    session: { lastSeq: number; messages: { edges: { node: { id: string; role: string; content: string } }[] } }
  }>(
    app,
    'query ($id: ID!) { session(id: $id) { lastSeq messages { edges { node { id role content } } } } }',
    { id: sessionId },
    viewer,
  )
  return { lastSeq: session.lastSeq, messages: session.messages.edges.map(({ node }) => node) }
}

test('a session is followed over cuts in the midst of frames without a loss or a repeat', async () => {
  const viewer = await signIn(app)
  const sessionId = await createSession(app, viewer)
  const proxy = await proxied(app)
  const random = testRandom()
  proxy.cutRandomly({ random, afterBytes: [1_000, 12_000], ways: ['rst', 'fin', 'half-open'] })
  const client = open({
    url: proxy.url,
    token: viewer.token,
    connection: { pingEveryMs: 100, pongWithinMs: 100, retryWithinMs: 20 },
  })
  const { events, until } = follow(client, sessionId, 0)
  await send(app, viewer, sessionId, 'Hello [[tokens=600 rate=400 seed=cuts]]')
  await until(isEnd)

  const seqs = events.flatMap(({ seq }) => seq ?? [])
  expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b))
  const content = events
    .filter(({ __typename }) => __typename === 'MessageDelta')
    .reduce((whole, { offset, text: part }) => {
      // A hole would not show in the fold.
      expect(offset).toBe(whole.length)
      return foldDelta(whole, { offset: offset!, text: part! })
    }, '')
  expect(content).toBe(text('cuts', 600))
  expect(proxy.cuts).toBeGreaterThan(0)
})

test('a connect that hangs is given up, and the next one follows', async () => {
  const viewer = await signIn(app)
  const sessionId = await createSession(app, viewer)
  const proxy = await proxied(app)
  proxy.stallAll()
  const client = open({ url: proxy.url, token: viewer.token, connection: { retryWithinMs: 5, connectWithinMs: 50 } })
  const isGivenUp = new Promise<void>((resolve) =>
    client.connection.lastCloseCode.subscribe(() => client.connection.lastCloseCode.get() === 4499 && resolve()),
  )
  const { until } = follow(client, sessionId, 0)
  await isGivenUp
  proxy.resume()
  await rename(viewer, sessionId, 'Reached')
  expect((await until(titled('Reached'))).seq).toBeGreaterThan(0)
})

test('a page that is seen again finds out at once that its socket is dead', async () => {
  const viewer = await signIn(app)
  const sessionId = await createSession(app, viewer)
  const proxy = await proxied(app)
  const client = open({
    url: proxy.url,
    token: viewer.token,
    connection: { pingEveryMs: 3_600_000, pongWithinMs: 50, retryWithinMs: 5 },
  })
  const { until } = follow(client, sessionId, 0)
  await rename(viewer, sessionId, 'Before')
  await until(titled('Before'))
  proxy.cutAll('half-open')
  await rename(viewer, sessionId, 'Meanwhile')
  client.connection.wake()
  expect((await until(titled('Meanwhile'))).seq).toBeGreaterThan(0)
})

test('a token that ends is replaced by another that is asked for once, and the session goes on', async () => {
  const { id: sub } = await signIn(app)
  const tokens = [await signToken({ sub }, 2), await signToken({ sub })]
  const viewer = { id: sub, name: 'Ada', token: tokens[1]! }
  const sessionId = await createSession(app, viewer)
  const given: string[] = []
  const client = open({
    url: app.url,
    async token() {
      given.push(tokens[given.length]!)
      return given.at(-1)
    },
  })
  const closed = new Promise<void>((resolve) =>
    client.connection.lastCloseCode.subscribe(() => client.connection.lastCloseCode.get() === 4403 && resolve()),
  )
  const { until } = follow(client, sessionId, 0)
  await rename(viewer, sessionId, 'Early')
  await until(titled('Early'))
  await closed
  await rename(viewer, sessionId, 'Late')
  await until(titled('Late'))
  expect(given).toEqual(tokens)
})

test('requests that a bad token had refused go through with the next one', async () => {
  const viewer = await signIn(app, 'Grace')
  const given: string[] = []
  const client = open({
    url: app.url,
    token() {
      given.push(given.length === 0 ? 'nobody knows it' : viewer.token)
      return given.at(-1)
    },
  })
  const answers = await Promise.all(
    ['a', 'b', 'c'].map((name) => client.query(`query ${name} { viewer { name } }`, {}).toPromise()),
  )
  expect(answers.map(({ data }) => data?.viewer.name)).toEqual(['Grace', 'Grace', 'Grace'])
  expect(given).toHaveLength(2)
})

test('an anonymous socket becomes the viewer’s once there is a token', async () => {
  const viewer = await signIn(app)
  const sessionId = await createSession(app, viewer)
  const answers = [undefined, viewer.token]
  const { until } = follow(open({ url: app.url, token: () => answers.shift() }), sessionId, 0)
  await rename(viewer, sessionId, 'Signed in')
  expect((await until(titled('Signed in'))).seq).toBeGreaterThan(0)
})

test('a token that is refused, with none to follow it, ends what needs it with UNAUTHENTICATED', async () => {
  const client = open({ url: app.url, token: 'nobody knows it' })
  const { ended } = follow(client, uuidv7(), 0)
  expect(await ended).toBe('UNAUTHENTICATED')
  const { error } = await client.query('{ viewer { name } }', {}).toPromise()
  expect(error?.graphQLErrors[0]?.extensions.code).toBe('UNAUTHENTICATED')
  expect(await client.outbox.send({ sessionId: uuidv7(), content: 'Hello' })).toMatchObject({
    code: 'UNAUTHENTICATED',
  })
})

test('a subscription that can never work ends with why', async () => {
  const viewer = await signIn(app)
  const sessionId = await createSession(app, viewer)
  expect(await follow(open({ url: app.url, token: viewer.token }), sessionId, -1).ended).toBe('INVALID_INPUT')
  expect(await follow(open({ url: app.url, token: viewer.token }), uuidv7(), 0).ended).toBe('NOT_FOUND')
})

test('what was stored and whose acknowledgement was lost is sent again, and stored and answered once', async () => {
  const viewer = await signIn(app)
  const sessionId = await createSession(app, viewer)
  const proxy = await proxied(app)
  const { outbox } = open({ url: proxy.url, token: viewer.token })
  // The answer leaves the server once the message is stored, and is cut at its first byte.
  proxy.cutRandomly({ random: testRandom(), afterBytes: [1, 1], ways: ['rst'] })
  const sent = outbox.send({ sessionId, content: 'Only once. [[tokens=3]]' })
  const stored = async () => (await messagesOf(viewer, sessionId)).messages
  await expect.poll(() => outbox.unsent.get()[0]?.failure?.code).toBe('NETWORK')
  expect(await stored()).toHaveLength(2)
  const { id } = outbox.unsent.get()[0]!
  proxy.cutRandomly(null)
  expect(await sent).toBeUndefined()
  expect(outbox.unsent.get()).toEqual([])
  const messages = await stored()
  expect(messages.map(({ role }) => role)).toEqual(['USER', 'ASSISTANT'])
  expect(messages[0]).toMatchObject({ id, content: 'Only once. [[tokens=3]]' })
  expect(proxy.cuts).toBeGreaterThan(0)
})

test('what was written while the server was away is sent in order when it is there', async () => {
  const viewer = await signIn(app)
  const sessionId = await createSession(app, viewer)
  const proxy = await proxied(app)
  const client = open({ url: proxy.url, token: viewer.token })
  const { until, events } = follow(client, sessionId, 0)
  await rename(viewer, sessionId, 'Here')
  await until(titled('Here'))
  proxy.stallAll()
  proxy.cutAll('rst')
  const sends = ['one', 'two', 'three'].map((content) => client.outbox.send({ sessionId, content, respond: false }))
  await expect.poll(() => client.outbox.unsent.get().length).toBe(3)
  proxy.cutAll('rst')
  proxy.resume()
  expect(await Promise.all(sends)).toEqual([undefined, undefined, undefined])
  const { messages, lastSeq } = await messagesOf(viewer, sessionId)
  expect(messages.map(({ content }) => content)).toEqual(['one', 'two', 'three'])
  await until(({ seq }) => seq === lastSeq)
  expect(events.filter(({ __typename }) => __typename === 'MessageAdded')).toHaveLength(3)
})

test('a position that the log does not have is told, read anew, and followed from there', async () => {
  const viewer = await signIn(app)
  const sessionId = await createSession(app, viewer)
  await rename(viewer, sessionId, 'First')
  const { lastSeq } = await messagesOf(viewer, sessionId)
  const told: unknown[] = []
  const isRead = Promise.withResolvers<void>()
  const client = open({
    url: app.url,
    token: viewer.token,
    async onResync(resync) {
      told.push(resync)
      if (told.length === 1) throw new Error('The read failed.')
      // What happens while the session is read again is in what was read.
      await rename(viewer, sessionId, 'Read')
      isRead.resolve()
      return (await messagesOf(viewer, sessionId)).lastSeq
    },
  })
  const { events, until } = follow(client, sessionId, lastSeq + 1_000)
  await isRead.promise
  await rename(viewer, sessionId, 'Followed')
  await until(titled('Followed'))
  expect(told).toEqual([
    { sessionId, lastSeq },
    { sessionId, lastSeq },
  ])
  expect(events.filter(({ session }) => session).map(({ session }) => session!.title)).toEqual(['Followed'])
})

test('without anyone to read anew it goes on behind the Resync, which the subscription is shown', async () => {
  const viewer = await signIn(app)
  const sessionId = await createSession(app, viewer)
  const { events, until } = follow(open({ url: app.url, token: viewer.token }), sessionId, 1_000)
  await until(({ __typename }) => __typename === 'Resync')
  await rename(viewer, sessionId, 'Later')
  await until(titled('Later'))
  expect(events.map(({ __typename }) => __typename)).toEqual(['Resync', 'SessionUpdated'])
})

test('a client that is closed while nobody answers leaves nothing behind', async () => {
  const proxy = await proxied(app)
  await proxy.stop()
  const client = open({ url: proxy.url, token: 'any' })
  const isTrying = new Promise<void>((resolve) => client.connection.lastCloseCode.subscribe(resolve))
  follow(client, uuidv7(), 0)
  const sent = client.outbox.send({ sessionId: uuidv7(), content: 'Hello' })
  await isTrying
  client.close()
  expect(await sent).toMatchObject({ code: 'CLOSED' })
})
