import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startApp, signToken, type TestApp } from '../support/app.ts'
import { gql, openSocket, post, signIn, type Person } from '../support/clients.ts'
import { createSession, mutate, type Failure } from '../support/operations.ts'
import { openStream } from '../http/eventStream.ts'

let app: TestApp
let ada: Person
beforeAll(async () => {
  app = await startApp({ env: { MAX_API_KEYS_PER_USER: '5' } })
  ada = await signIn(app)
})
afterAll(() => app?.stop())

interface ApiKey {
  id: string
  name: string
  start: string
  scopes: string[]
  createdAt: string
  expiresAt: string
  lastUsedAt: string | null
  revokedAt: string | null
}
const fields = 'id name start scopes createdAt expiresAt lastUsedAt revokedAt'

const tryMake = (by: Person, input: Record<string, unknown> = {}) =>
  mutate<{ key: string; apiKey: ApiKey }>(
    app,
    by,
    'createApiKey',
    { name: 'A program', scopes: ['READ', 'WRITE'], ...input },
    `key apiKey { ${fields} }`,
  )

/** A key, and who it makes of its owner. */
async function make(by: Person, input: Record<string, unknown> = {}): Promise<{ apiKey: ApiKey; program: Person }> {
  const made = await tryMake(by, input)
  if (!made.key) throw new Error(`No key was made: ${JSON.stringify(made)}`)
  return { apiKey: made.apiKey!, program: { ...by, token: made.key } }
}
const revoke = (by: Person, id: string) =>
  mutate<{ apiKey: ApiKey }>(app, by, 'revokeApiKey', { id }, `apiKey { ${fields} }`)
const list = async (by: Person) => (await gql<{ apiKeys: ApiKey[] }>(app, `{ apiKeys { ${fields} } }`, {}, by)).apiKeys
const failed = async ({ token }: Person, query: string) => {
  const { status, body } = await post(app, query, {}, { token })
  return [status, body.errors?.[0]?.extensions?.code]
}
const withoutError = [200, undefined]
/** What following from a position gives that the log does not have. */
const opened = { data: { sessionEvents: { __typename: 'Resync' } } }
/** A second is promised; a busy machine may add to it. */
const soonMs = 5_000
const follow = `subscription ($sessionId: ID!) { sessionEvents(sessionId: $sessionId, after: 999) { __typename } }`

it('a key is shown once, kept as a hash, and good over HTTP, WebSocket and event streams', async () => {
  const eve = await signIn(app, 'Eve')
  const { apiKey, program } = await make(eve, { name: '  Nightly job ' })
  expect(program.token).toMatch(/^parley_[\w-]{43}$/)
  expect(apiKey).toMatchObject({ name: 'Nightly job', scopes: ['READ', 'WRITE'], lastUsedAt: null, revokedAt: null })
  expect(program.token.startsWith(apiKey.start)).toBe(true)
  expect(apiKey.start.length).toBeLessThan(16)
  const rows = await app.services.storage.read.all(`SELECT * FROM api_keys WHERE id = ?`, [apiKey.id])
  expect(JSON.stringify(rows)).not.toContain(program.token)

  expect(await gql(app, '{ viewer { id name } }', {}, program)).toEqual({ viewer: { id: eve.id, name: 'Eve' } })
  const sessionId = await createSession(app, program)
  const socket = await openSocket(app, { token: program.token })
  socket.subscribe('1', follow, { sessionId })
  expect((await socket.nextOf('1')).payload).toEqual(opened)
  await socket.close()
  const stream = await openStream(app, { token: program.token, query: follow, variables: { sessionId } })
  expect((await stream.next()).data).toEqual(opened)
  stream.cut()

  const [listed] = await list(eve)
  expect(listed).toMatchObject({ id: apiKey.id, start: apiKey.start })
  expect(Date.now() - Date.parse(listed!.lastUsedAt!)).toBeLessThan(60_000)
  expect(await list(ada)).toEqual([])
})

it('the last use is written once a minute at most', async () => {
  const { apiKey, program } = await make(await signIn(app))
  await gql(app, '{ viewer { id } }', {}, program)
  const writes: string[] = []
  const { storage, identity } = app.services
  const transaction = storage.transaction.bind(storage)
  storage.transaction = (work) => {
    writes.push('one')
    return transaction(work)
  }
  try {
    for (let n = 0; n < 5; n++) await identity.verify(program.token)
  } finally {
    storage.transaction = transaction
  }
  expect(writes).toEqual([])
  expect(apiKey.lastUsedAt).toBeNull()
})

it('a key does only what its scopes say, which include none of each other', async () => {
  const owner = await signIn(app)
  const { program: reader } = await make(owner, { scopes: ['READ'] })
  const { program: writer } = await make(owner, { scopes: ['WRITE'] })
  const read = '{ sessions { totalCount } }'
  const write = 'mutation { createSession(input: {}) { __typename } }'
  expect(await failed(reader, read)).toEqual(withoutError)
  expect(await failed(reader, write)).toEqual([200, 'FORBIDDEN'])
  expect(await failed(writer, read)).toEqual([200, 'FORBIDDEN'])
  expect(await failed(writer, write)).toEqual(withoutError)
  const socket = await openSocket(app, { token: reader.token })
  socket.subscribe('1', write)
  expect(JSON.stringify((await socket.nextOf('1')).payload)).toContain('FORBIDDEN')
  await socket.close()
})

it("a key of an admin has an admin's rights only with the scope for it, which nobody else can give", async () => {
  const admin: Person = { id: '', name: 'Root', token: await signToken({ sub: 'root', name: 'Root', admin: true }) }
  const all = '{ stats(scope: ALL) { activeSessions } }'
  const { program: plain } = await make(admin)
  const { program: full } = await make(admin, { scopes: ['ADMIN', 'READ'] })
  expect(await failed(admin, all)).toEqual(withoutError)
  expect(await failed(full, all)).toEqual(withoutError)
  expect(await failed(plain, all)).toEqual([200, 'FORBIDDEN'])
  expect(await gql(app, '{ viewer { isAdmin } }', {}, plain)).toEqual({ viewer: { isAdmin: false } })
  expect(await tryMake(ada, { scopes: ['ADMIN'] })).toMatchObject({ __typename: 'ForbiddenError', code: 'FORBIDDEN' })
})

it('a key makes and revokes no keys, whatever its scopes', async () => {
  const token = await signToken({ sub: 'maker', name: 'Maker', admin: true })
  const { program, apiKey } = await make({ id: '', name: 'Maker', token }, { scopes: ['READ', 'WRITE', 'ADMIN'] })
  expect((await tryMake(program)).code).toBe('FORBIDDEN')
  expect((await revoke(program, apiKey.id)).code).toBe('FORBIDDEN')
  expect(await failed(program, '{ viewer { id } }')).toEqual(withoutError)
})

it('revoking a key ends it, its sockets and its streams within a second, and is for its owner alone', async () => {
  const owner = await signIn(app)
  const [{ apiKey, program }, { program: other }] = [await make(owner), await make(owner)]
  const sessionId = await createSession(app, program)
  const [socket, spared] = [
    await openSocket(app, { token: program.token }),
    await openSocket(app, { token: other.token }),
  ]
  const stream = await openStream(app, { token: program.token, query: follow, variables: { sessionId } })
  await stream.next()

  for (const [by, id] of [
    [ada, apiKey.id],
    [owner, randomUUID()],
    [owner, 'not a uuid'],
  ] as const)
    expect(await revoke(by, id)).toMatchObject({ __typename: 'NotFoundError' })
  expect(await failed(program, '{ viewer { id } }')).toEqual(withoutError)

  const revoked = await revoke(owner, apiKey.id)
  const at = performance.now()
  expect(revoked.apiKey!.revokedAt).not.toBeNull()
  expect(await failed(program, '{ viewer { id } }')).toEqual([401, 'UNAUTHENTICATED'])
  expect((await socket.closed).code).toBe(4403)
  expect(JSON.stringify(await stream.rest())).toContain('UNAUTHENTICATED')
  expect(performance.now() - at).toBeLessThan(soonMs)
  await spared.roundTrip()
  await spared.close()

  expect((await revoke(owner, apiKey.id)).apiKey).toEqual(revoked.apiKey)
  expect((await list(owner)).map(({ id }) => id)).not.toContain(apiKey.id)
})

it('a key gives itself up by signing out, whatever its scopes', async () => {
  const owner = await signIn(app)
  const { program, apiKey } = await make(owner, { scopes: ['READ'] })
  expect(await failed(program, 'mutation { signOut { __typename } }')).toEqual(withoutError)
  expect(await failed(program, '{ viewer { id } }')).toEqual([401, 'UNAUTHENTICATED'])
  expect((await list(owner)).map(({ id }) => id)).not.toContain(apiKey.id)
})

it('a key ends by itself when it says so, also where a socket is open by it', async () => {
  const { apiKey, program } = await make(await signIn(app), { expiresInSeconds: 2 })
  const socket = await openSocket(app, { token: program.token })
  expect((await socket.closed).code).toBe(4403)
  expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(apiKey.expiresAt))
  expect(await failed(program, '{ viewer { id } }')).toEqual([401, 'UNAUTHENTICATED'])
})

it('a wrong input is refused field by field, and too many keys are refused', async () => {
  const owner = await signIn(app)
  const inputs: [Record<string, unknown>, string][] = [
    [{ name: ' ' }, 'name'],
    [{ name: 'x'.repeat(101) }, 'name'],
    [{ scopes: [] }, 'scopes'],
    [{ expiresInSeconds: 0 }, 'expiresInSeconds'],
    [{ expiresInSeconds: 31_536_001 }, 'expiresInSeconds'],
  ]
  for (const [input, field] of inputs) {
    const { message, __typename } = await tryMake(owner, input)
    expect([__typename, message]).toEqual(['InvalidInputError', expect.stringContaining(`${field}: `)])
  }
  const made = await Promise.all(Array.from({ length: 8 }, () => tryMake(owner)))
  const types = made.map(({ __typename }: Failure) => __typename).sort()
  expect(types).toEqual([...Array<string>(5).fill('CreateApiKeySuccess'), ...Array<string>(3).fill('ForbiddenError')])
  await revoke(owner, (await list(owner))[0]!.id)
  expect((await tryMake(owner)).__typename).toBe('CreateApiKeySuccess')
})

it('what only looks like a key is refused as a wrong token is', async () => {
  for (const token of ['parley_', `parley_${'x'.repeat(43)}`, `parley_${'x'.repeat(9000)}`])
    expect(await failed({ ...ada, token }, '{ viewer { id } }')).toEqual([401, 'UNAUTHENTICATED'])
})
