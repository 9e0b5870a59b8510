import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { signIn, type Person } from '../support/clients.ts'
import { countRows } from '../support/counts.ts'
import { createSession, send, trySend } from '../support/operations.ts'
import { storageKinds } from '../support/storages.ts'

describe.each(storageKinds)('sending a message on %s', (storage) => {
  let app: TestApp
  let ada: Person
  let bob: Person
  let sessionId: string
  beforeAll(async () => {
    app = await startApp({ storage })
    ada = await signIn(app, 'Ada')
    bob = await signIn(app, 'Bob')
    sessionId = await createSession(app, ada)
  })
  afterAll(() => app?.stop())

  const bad: [string, Record<string, unknown>, string[]][] = [
    ['empty content', { content: '' }, ['content']],
    ['blank content', { content: ' \n\t\u00a0 ' }, ['content']],
    ['content that is too long', { content: 'x'.repeat(32_001) }, ['content']],
    ['a NUL in the content', { content: 'a\u0000b' }, ['content']],
    ['half a surrogate pair', { content: 'a\ud800b' }, ['content']],
    ['an id that is no UUID', { id: '17' }, ['id']],
    ['temperature above 2', { settings: { temperature: 2.01 } }, ['settings', 'temperature']],
    ['temperature below 0', { settings: { temperature: -0.01 } }, ['settings', 'temperature']],
    ['topP of 0', { settings: { topP: 0 } }, ['settings', 'topP']],
    ['no tokens at most', { settings: { maxTokens: 0 } }, ['settings', 'maxTokens']],
    ['metadata that is a list', { metadata: [] }, ['metadata']],
    ['metadata that is text', { metadata: 'x' }, ['metadata']],
    ['metadata of more than 16 KiB', { metadata: { x: 'é'.repeat(8_192) } }, ['metadata']],
  ]
  it.each(bad)('refuses %s with the field that offends, and writes nothing', async (_what, input, path) => {
    const before = await countRows(app.services)
    const calls = app.fake.requests.length
    const result = await trySend(app, ada, { sessionId, content: 'fine', ...input })
    expect(result).toMatchObject({ __typename: 'InvalidInputError', code: 'INVALID_INPUT' })
    expect(result.fields!.map((field) => field.path)).toEqual([path])
    expect(result.fields![0]!.message).toMatch(/^(Must|May)/)
    expect(await countRows(app.services)).toEqual(before)
    expect(app.fake.requests.length).toBe(calls)
  })

  it('names every field that offends', async () => {
    const result = await trySend(app, ada, { sessionId, content: '', id: 'x', settings: { temperature: 3, topP: 2 } })
    expect(result.fields!.map(({ path }) => path.join('.')).sort()).toEqual([
      'content',
      'id',
      'settings.temperature',
      'settings.topP',
    ])
  })

  it.each<[string, (own: string, foreign: { sessionId: string; messageId: string }) => Record<string, unknown>]>([
    ['an unknown session', () => ({ sessionId: randomUUID() })],
    ['a session id that is none', () => ({ sessionId: "x' OR 1=1 --" })],
    ["somebody else's session", (_own, foreign) => ({ sessionId: foreign.sessionId })],
    ['an unknown parent', (own) => ({ sessionId: own, parentId: randomUUID() })],
    ['a parent id that is none', (own) => ({ sessionId: own, parentId: 'x' })],
    ['a parent in another session', (own, foreign) => ({ sessionId: own, parentId: foreign.messageId })],
    ['an unknown model', (own) => ({ sessionId: own, model: 'local/nobody' })],
    ['an unknown provider', (own) => ({ sessionId: own, model: 'nobody/fake' })],
  ])('does not find %s, and writes nothing', async (_what, make) => {
    const foreign = await createSession(app, bob)
    const { sentId } = await send(app, bob, foreign, 'mine', { respond: false })
    const before = await countRows(app.services)
    const result = await trySend(app, ada, {
      content: 'fine',
      ...make(sessionId, { sessionId: foreign, messageId: sentId }),
    })
    expect(result).toMatchObject({ __typename: 'NotFoundError', code: 'NOT_FOUND' })
    expect(await countRows(app.services)).toEqual(before)
  })

  it('takes what is just allowed', async () => {
    for (const input of [
      { content: '😀'.repeat(32_000) },
      { content: 'x', settings: { temperature: 0, topP: 1, maxTokens: 1 } },
      { content: 'x', settings: { temperature: 2 } },
      { content: ' \n kept as it is \n ' },
      { content: 'x', metadata: { x: 'y'.repeat(16_000) } },
    ]) {
      const result = await trySend(app, ada, { sessionId, respond: false, ...input })
      expect(result).toMatchObject({ __typename: 'SendMessageSuccess', sent: { content: input.content } })
    }
  })
})
