import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { gql, signIn, type Person } from '../support/clients.ts'
import { countRows } from '../support/counts.ts'
import { createSession, mutate, trySend, type Failure } from '../support/operations.ts'

let app: TestApp
let ada: Person
let sessionId: string
beforeAll(async () => {
  app = await startApp({
    env: { MAX_MESSAGE_CHARACTERS: '20', MAX_TITLE_CHARACTERS: '10', MAX_METADATA_BYTES: '64' },
  })
  ada = await signIn(app)
  sessionId = await createSession(app, ada)
})
afterAll(() => app?.stop())

/** As JSON of so many bytes. */
const metadata = (bytes: number) => ({ '€': 'x'.repeat(bytes - Buffer.byteLength('{"€":""}')) })
const tried = async (name: string, input: object): Promise<Failure> =>
  name === 'sendMessage'
    ? trySend(app, ada, { sessionId, respond: false, content: 'x', ...input })
    : mutate(app, ada, name, name === 'updateSession' ? { sessionId, ...input } : { ...input })

describe('a limit of what is stored is a setting, in characters as people count them:', () => {
  it.each([
    ['createSession', 'title', '😀'.repeat(10), '😀'.repeat(11), '10 characters'],
    ['updateSession', 'title', '😀'.repeat(10), '😀'.repeat(11), '10 characters'],
    ['sendMessage', 'content', '😀'.repeat(20), '😀'.repeat(21), '20 characters'],
    ['createSession', 'metadata', metadata(64), metadata(65), '64 bytes'],
    ['updateSession', 'metadata', metadata(64), metadata(65), '64 bytes'],
    ['sendMessage', 'metadata', metadata(64), metadata(65), '64 bytes'],
  ])('%s with its %s', async (name, field, taken, refused, words) => {
    expect(await tried(name, { [field]: taken })).not.toHaveProperty('code')
    const before = await countRows(app.services)
    expect(await tried(name, { [field]: refused })).toMatchObject({
      __typename: 'InvalidInputError',
      code: 'INVALID_INPUT',
      message: expect.stringContaining(words),
    })
    expect(await countRows(app.services)).toEqual(before)
  })
})

it('a title that is taken from a message keeps within it too', async () => {
  const untitled = await createSession(app, ada)
  await trySend(app, ada, { sessionId: untitled, content: 'words that go on', respond: false })
  const { session } = await gql<{ session: { title: string } }>(
    app,
    'query ($id: ID!) { session(id: $id) { title } }',
    { id: untitled },
    ada,
  )
  expect(session.title).toBe('words tha…')
})
