import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { gql, openSocket, signIn, type Person } from '../support/clients.ts'
import { countRows } from '../support/counts.ts'
import { text } from '../support/fakeModelServer.ts'
import { createSession, join, mutate, readMessage, send, trySend } from '../support/operations.ts'
import { storageKinds } from '../support/storages.ts'

/** Resolves once the answer has ended, however. */
async function ended(app: TestApp, by: Person, replyId: string): Promise<void> {
  const socket = await openSocket(app, { token: by.token })
  socket.subscribe('1', 'subscription ($id: ID!) { messageDeltas(messageId: $id) { seq } }', { id: replyId })
  await socket.until('1', ({ type }) => type === 'complete')
  await socket.close()
}

const promptOf = (app: TestApp, index = -1): { role: string; content: string }[] =>
  app.fake.requests.at(index)!.body.messages

describe.each(storageKinds)('sending a message on %s', (storage) => {
  let app: TestApp
  let ada: Person
  let bob: Person
  let sessionId: string
  beforeAll(async () => {
    app = await startApp({ storage, env: { PROVIDER_ATTEMPTS: '1', MAX_SOCKETS_PER_USER: '1000' } })
    app.fake.modelsReply.models = [{ id: 'fake' }, { id: 'other/model:3b' }]
    ada = await signIn(app, 'Ada')
    bob = await signIn(app, 'Bob')
    sessionId = await createSession(app, ada)
  })
  afterAll(() => app?.stop())

  it('stores it and an empty reply, and answers before the model does', async () => {
    const calls = app.fake.requests.length
    const result = await trySend(app, ada, { sessionId, content: 'Hi [[hang]]', metadata: { from: 'test' } })
    expect(result).toMatchObject({
      __typename: 'SendMessageSuccess',
      sent: { content: 'Hi [[hang]]', metadata: { from: 'test' }, author: { id: ada.id } },
      reply: { status: 'PENDING', content: '', parent: { id: result.sent!.id }, error: null },
      generation: { status: 'PENDING' },
    })
    await app.fake.waitForRequest(calls)
    await mutate(app, ada, 'stopGeneration', { generationId: result.generation!.id })
  })

  it('is one send however often it is repeated, at once and afterwards, and one call of the provider', async () => {
    const id = randomUUID()
    const input = { sessionId, id, content: 'once [[tokens=5]]' }
    const calls = app.fake.requests.length
    const before = await countRows(app.services)
    const results = await Promise.all(Array.from({ length: 20 }, () => trySend(app, ada, input)))
    expect(new Set(results.map(({ __typename }) => __typename))).toEqual(new Set(['SendMessageSuccess']))
    expect(new Set(results.map(({ reply, generation }) => `${reply!.id} ${generation!.id}`)).size).toBe(1)
    expect(new Set(results.map(({ sent }) => sent!.id))).toEqual(new Set([id]))
    await ended(app, ada, results[0]!.reply!.id)
    const later = await trySend(app, ada, { ...input, id: id.toUpperCase() })
    expect(later).toMatchObject({
      sent: { id },
      reply: { id: results[0]!.reply!.id, status: 'COMPLETE', content: text('seed', 5) },
    })
    const after = await countRows(app.services)
    expect(after.messages! - before.messages!).toBe(2)
    expect(after.generations! - before.generations!).toBe(1)
    expect(app.fake.requests.length - calls).toBe(1)
  })

  it('is a conflict where the id is in use for anything else, and changes nothing', async () => {
    const { sentId, replyId } = await send(app, ada, sessionId, 'first', { id: randomUUID(), respond: false })
    const own = await createSession(app, bob)
    const other = await createSession(app, ada)
    expect(replyId).toBe('')
    const before = await countRows(app.services)
    for (const [by, input] of [
      [ada, { sessionId, id: sentId, content: 'other text' }],
      [ada, { sessionId: other, id: sentId, content: 'first' }],
      [bob, { sessionId: own, id: sentId, content: 'first' }],
      [ada, { sessionId, id: sessionId, content: 'the id of a session' }],
    ] as const) {
      expect(await trySend(app, by, input)).toMatchObject({ __typename: 'ConflictError', code: 'CONFLICT' })
    }
    expect(await countRows(app.services)).toEqual(before)
  })

  it('without a response stores the message alone and asks nobody', async () => {
    const calls = app.fake.requests.length
    const before = await countRows(app.services)
    const result = await trySend(app, ada, { sessionId, content: 'just said', respond: false })
    expect(result).toMatchObject({ reply: null, generation: null })
    const after = await countRows(app.services)
    expect([after.messages! - before.messages!, after.generations! - before.generations!]).toEqual([1, 0])
    expect(app.fake.requests.length).toBe(calls)
  })

  it('follows the newest message, or the parent that it names, and shows the model that path alone', async () => {
    const id = await createSession(app, ada, { settings: { systemPrompt: 'Be brief.' } })
    const one = await send(app, ada, id, 'one [[tokens=1 seed=a]]')
    await ended(app, ada, one.replyId)
    const two = await send(app, ada, id, 'two [[tokens=1 seed=b]]')
    await ended(app, ada, two.replyId)
    expect((await readMessage(app, ada, two.sentId)).parent).toEqual({ id: one.replyId })
    const other = await send(app, ada, id, 'other [[tokens=1]]', { parentId: one.replyId.toUpperCase() })
    await ended(app, ada, other.replyId)
    expect((await readMessage(app, ada, other.sentId)).parent).toEqual({ id: one.replyId })
    expect(promptOf(app)).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'one [[tokens=1 seed=a]]' },
      { role: 'assistant', content: text('a', 1) },
      { role: 'user', content: 'other [[tokens=1]]' },
    ])
  })

  it("asks as the session's settings say, but for what the message says for this reply alone", async () => {
    const id = await createSession(app, ada, { settings: { temperature: 0.5, maxTokens: 77, systemPrompt: 'A' } })
    const first = await send(app, ada, id, 'one [[tokens=1]]', {
      model: 'local/other/model:3b',
      settings: { temperature: 1.5, topP: 0.9 },
    })
    await ended(app, ada, first.replyId)
    expect(app.fake.requests.at(-1)!.body).toMatchObject({
      model: 'other/model:3b',
      temperature: 1.5,
      top_p: 0.9,
      max_tokens: 77,
      stream: true,
    })
    expect(promptOf(app)[0]).toEqual({ role: 'system', content: 'A' })
    const second = await send(app, ada, id, 'two [[tokens=1]]')
    await ended(app, ada, second.replyId)
    expect(app.fake.requests.at(-1)!.body).toMatchObject({ model: 'fake', temperature: 0.5, max_tokens: 77 })
    expect(app.fake.requests.at(-1)!.body.top_p).toBeUndefined()
  })

  it.each([
    ['Hello there', 'Hello there'],
    ['  One two\nthree   four five six seven', 'One two three four five…'],
    ['One two three four five', 'One two three four five'],
  ])("gives a session its title by the first message's first five words: %j", async (content, title) => {
    const titleOf = async (id: string): Promise<string> =>
      (await gql<{ session: { title: string } }>(app, 'query ($id: ID!) { session(id: $id) { title } }', { id }, ada))
        .session.title
    const id = await createSession(app, ada)
    await send(app, ada, id, content, { respond: false })
    expect(await titleOf(id)).toBe(title)
    await send(app, ada, id, 'A second message changes nothing', { respond: false })
    expect(await titleOf(id)).toBe(title)
    const named = await createSession(app, ada, { title: 'Named' })
    await send(app, ada, named, content, { respond: false })
    expect(await titleOf(named)).toBe('Named')
  })

  it('is for members, not for viewers and strangers', async () => {
    const id = await createSession(app, ada)
    expect(await trySend(app, bob, { sessionId: id, content: 'x' })).toMatchObject({ code: 'NOT_FOUND' })
    await join(app, ada, bob, id, 'VIEWER')
    const before = await countRows(app.services)
    expect(await trySend(app, bob, { sessionId: id, content: 'x' })).toMatchObject({
      __typename: 'ForbiddenError',
      code: 'FORBIDDEN',
    })
    expect(await countRows(app.services)).toEqual(before)
    await mutate(app, ada, 'changeParticipantRole', { sessionId: id, userId: bob.id, role: 'MEMBER' })
    expect(await trySend(app, bob, { sessionId: id, content: 'x', respond: false })).toMatchObject({
      sent: { author: { id: bob.id } },
    })
  })

  it.each([
    ['removed', 'NOT_FOUND', 'removeParticipant', {}],
    ['made a viewer', 'FORBIDDEN', 'changeParticipantRole', { role: 'VIEWER' }],
  ])('stores nothing of one who is %s between being let in and storing it', async (_what, code, mutation, more) => {
    const id = await createSession(app, ada)
    await join(app, ada, bob, id)
    const { limits } = app.services
    const message = limits.message.bind(limits)
    const calls = app.fake.requests.length
    let before: Record<string, number> | undefined
    // asked after the viewer's role, and before the transaction
    const spy = vi.spyOn(limits, 'message').mockImplementationOnce(async (...args) => {
      await mutate(app, ada, mutation, { sessionId: id, userId: bob.id, ...more })
      before = await countRows(app.services)
      return message(...args)
    })
    const result = await trySend(app, bob, { sessionId: id, content: 'still here' })
    spy.mockRestore()
    expect(result).toMatchObject({ code })
    expect(await countRows(app.services)).toEqual(before)
    expect(app.fake.requests.length).toBe(calls)
  })

  it.each([
    ['[[status=500]]', 'PROVIDER_ERROR', ''],
    ['[[tokens=9 eof=4]]', 'PROVIDER_ERROR', text('seed', 4)],
    ['[[tokens=9 reset=4]]', 'PROVIDER_ERROR', text('seed', 4)],
    ['[[tokens=9 error=4]]', 'PROVIDER_ERROR', text('seed', 4)],
    ['[[empty]]', 'PROVIDER_ERROR', ''],
  ])('keeps the message and what arrived where the provider fails: %s', async (words, code, content) => {
    const id = await createSession(app, ada)
    const { sentId, replyId } = await send(app, ada, id, `x ${words}`)
    await ended(app, ada, replyId)
    const reply = await readMessage(app, ada, replyId)
    expect(reply).toMatchObject({ status: 'FAILED', content, error: { code } })
    expect(reply.error!.message).toMatch(/(Try again|choose another model).*\.$/s)
    expect(reply.error!.message).not.toMatch(/ECONN|undefined|\bat \b.*:\d+/)
    expect((await readMessage(app, ada, sentId)).content).toBe(`x ${words}`)
    const again = await send(app, ada, id, 'again [[tokens=3]]', { parentId: sentId })
    await ended(app, ada, again.replyId)
    expect(await readMessage(app, ada, again.replyId)).toMatchObject({ status: 'COMPLETE', content: text('seed', 3) })
  })
})

describe('a provider that is down', () => {
  it('fails the reply with a sentence that says what to do; sent again once it is there, it is answered', async () => {
    const app = await startApp({ env: { PROVIDER_ATTEMPTS: '1', DEFAULT_MODEL: 'local/fake' } })
    try {
      const ada = await signIn(app)
      const sessionId = await createSession(app, ada)
      await app.fake.stop()
      const { sentId, replyId } = await send(app, ada, sessionId, 'anyone?')
      await ended(app, ada, replyId)
      const reply = await readMessage(app, ada, replyId)
      expect(reply).toMatchObject({ status: 'FAILED', content: '', error: { code: 'PROVIDER_UNAVAILABLE' } })
      expect(reply.error!.message).toMatch(/does not answer. Start it, or choose another model/)
      expect(await readMessage(app, ada, sentId)).toMatchObject({ content: 'anyone?', status: 'COMPLETE' })
      const demo = await send(app, ada, sessionId, '/echo then you', { model: 'demo/demo', parentId: sentId })
      await ended(app, ada, demo.replyId)
      expect(await readMessage(app, ada, demo.replyId)).toMatchObject({ status: 'COMPLETE', content: 'then you' })
    } finally {
      await app.stop()
    }
  })
})
