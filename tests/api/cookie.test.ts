import { afterAll, beforeAll, expect, it } from 'vitest'
import { startApp, signToken, type TestApp } from '../support/app.ts'
import { openSocket, post, refusedUpgrade, signIn, type Asked } from '../support/clients.ts'
import { createSession, send } from '../support/operations.ts'
import { openStream } from '../http/eventStream.ts'

let app: TestApp
beforeAll(async () => void (app = await startApp({ env: { ALLOWED_ORIGINS: 'https://app.example.test' } })))
afterAll(() => app?.stop())

const foreign = 'https://evil.example.test'
const signInDocument = `mutation ($keepInCookie: Boolean) { signInAsGuest(input: { name: "Ada", keepInCookie: $keepInCookie }) {
  ... on SignInAsGuestSuccess { token user { id } } ... on InvalidInputError { fields { path } } } }`
const enterDocument = `mutation ($token: String!) { signIn(input: { token: $token }) {
  ... on SignInSuccess { user { id name } expiresAt } ... on InvalidInputError { code fields { path message } } } }`
const signOutDocument = 'mutation { signOut { __typename } }'
const who = '{ viewer { id name } }'
const follow = `subscription ($sessionId: ID!) { sessionEvents(sessionId: $sessionId, after: 999) { __typename } }`

type SignedIn = { signInAsGuest: { token: string; user: { id: string } } }
const cookiesOf = ({ headers }: Asked<unknown>) => headers.getSetCookie()
const pairOf = (cookie: string | undefined) => cookie?.split(';')[0] ?? ''
const codeOf = ({ status, body }: Asked<unknown>) => [status, body.errors?.[0]?.extensions?.code]
const viewerOf = ({ body }: Asked<Record<string, unknown>>) => (body.data?.viewer as { id: string } | null)?.id

/** A guest as the page makes one: the cookie as it is to be sent, and their id. */
async function visitor(): Promise<{ cookie: string; id: string; token: string }> {
  const answer = await post<SignedIn>(app, signInDocument, { keepInCookie: true }, { headers: { origin: app.url } })
  const cookie = pairOf(cookiesOf(answer)[0])
  return { cookie, id: answer.body.data!.signInAsGuest.user.id, token: cookie.split('=')[1]! }
}

it('a guest of the page gets the token in a cookie that no script can read, and nowhere else', async () => {
  const answer = await post<SignedIn>(app, signInDocument, { keepInCookie: true }, { headers: { origin: app.url } })
  const [cookie, ...others] = cookiesOf(answer)
  expect(others).toEqual([])
  expect(cookie).toMatch(
    /^parley_token=[\w-]+\.[\w-]+\.[\w-]+; Path=\/; HttpOnly; SameSite=Strict; Max-Age=(2591999|259200[01])$/,
  )
  expect(answer.body.data!.signInAsGuest.token).toBe('')
  const { id } = answer.body.data!.signInAsGuest.user
  expect(viewerOf(await post(app, who, {}, { headers: { cookie: pairOf(cookie) } }))).toBe(id)

  const program = await post<SignedIn>(app, signInDocument, {})
  expect([cookiesOf(program), program.body.data!.signInAsGuest.token.length > 100]).toEqual([[], true])
})

it('where the page came by https the cookie is for https and this very host alone', async () => {
  const { host } = new URL(app.url)
  const answer = await post<SignedIn>(
    app,
    signInDocument,
    { keepInCookie: true },
    { headers: { origin: `https://${host}` } },
  )
  const [cookie] = cookiesOf(answer)
  expect(cookie).toMatch(/^__Host-parley_token=.+; Secure$/)
  const { id } = answer.body.data!.signInAsGuest.user
  // a page of plain http on the same host can set the other one, but not this one
  const headers = { cookie: `parley_token=${(await visitor()).token}; ${pairOf(cookie)}` }
  expect(viewerOf(await post(app, who, {}, { headers }))).toBe(id)
})

it('the cookie says who asks over HTTP, WebSocket and event streams of our own pages', async () => {
  const { cookie, id, token } = await visitor()
  const sessionId = await createSession(app, { id, name: '', token })
  for (const headers of [{ origin: app.url }, { 'sec-fetch-site': 'same-origin' }, {}] as Record<string, string>[])
    expect(viewerOf(await post(app, who, {}, { headers: { ...headers, cookie } }))).toBe(id)
  const got = await fetch(`${app.url}/graphql?${new URLSearchParams({ query: who })}`, { headers: { cookie } })
  expect([got.headers.get('cache-control'), await got.text()]).toEqual(['no-store', expect.stringContaining(id)])
  const stream = await openStream(app, {
    query: follow,
    variables: { sessionId },
    headers: { cookie, origin: app.url },
  })
  expect((await stream.next()).data).toEqual({ data: { sessionEvents: { __typename: 'Resync' } } })
  stream.cut()
  const socket = await openSocket(app, { token: null, origin: app.url, socket: { headers: { cookie } } })
  socket.subscribe('1', who)
  expect((await socket.nextOf('1')).payload).toEqual({ data: { viewer: { id, name: 'Ada' } } })
  await socket.close()
})

it('a request with the cookie from a page of another origin is refused, and changes nothing', async () => {
  const { cookie, id, token } = await visitor()
  const sessionId = await createSession(app, { id, name: '', token })
  const rows = async () => (await app.services.storage.read.all('SELECT id FROM sessions')).length
  const before = await rows()
  const create = 'mutation { createSession(input: {}) { __typename } }'
  for (const from of [
    { origin: foreign },
    { origin: 'null' },
    { origin: app.url.replace('127.0.0.1', 'localhost') },
    { origin: app.url.replace(/\d+$/, '1') },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ] as Record<string, string>[]) {
    const headers = { ...from, cookie }
    expect(codeOf(await post(app, create, {}, { headers }))).toEqual([403, 'FORBIDDEN'])
    const stream = await openStream(app, { query: follow, variables: { sessionId }, headers })
    const [refusal, ...rest] = await stream.rest()
    expect([await stream.opened, JSON.stringify(refusal)]).toEqual([403, expect.stringContaining('FORBIDDEN')])
    expect(rest.filter(({ event }) => event === 'next')).toEqual([])
    const got = await fetch(`${app.url}/graphql?${new URLSearchParams({ query: who })}`, { headers })
    expect([got.ok, await got.text()]).toEqual([false, expect.not.stringContaining(id)])
  }
  expect(await rows()).toBe(before)
  expect(await refusedUpgrade(app, '/graphql', { origin: foreign, headers: { cookie } })).toBe(403)
  const isSameSite = { headers: { cookie, 'sec-fetch-site': 'same-site' } }
  const socket = await openSocket(app, { token: null, socket: isSameSite })
  socket.subscribe('1', who)
  expect((await socket.nextOf('1')).payload).toEqual({ data: { viewer: null } })
  await socket.close()

  const allowed = { origin: 'https://app.example.test', 'sec-fetch-site': 'same-site', cookie }
  expect(viewerOf(await post(app, who, {}, { headers: allowed }))).toBe(id)
})

it('a page of another origin can have no cookie set', async () => {
  for (const [document, variables] of [
    [signInDocument, { keepInCookie: true }],
    [enterDocument, { token: await signToken({ sub: 'lured' }) }],
  ] as const) {
    const answer = await post(app, document, variables, { headers: { origin: foreign } })
    expect(JSON.stringify(answer.body.data)).toContain('fields')
    expect(cookiesOf(answer)).toEqual([])
  }
})

it('the header wins over the cookie', async () => {
  const [{ cookie }, grace] = [await visitor(), await signIn(app, 'Grace')]
  expect(viewerOf(await post(app, who, {}, { token: grace.token, headers: { cookie } }))).toBe(grace.id)
  expect(viewerOf(await post(app, who, {}, { token: grace.token, headers: { cookie, origin: foreign } }))).toBe(
    grace.id,
  )
  expect((await post(app, who, {}, { token: 'nonsense', headers: { cookie } })).status).toBe(401)
  expect((await post(app, who, {}, { headers: { cookie, authorization: 'Bearer ' } })).status).toBe(401)

  const asked = async (socket: Awaited<ReturnType<typeof openSocket>>, extensions?: object) => {
    socket.send({ id: 'w', type: 'subscribe', payload: { query: who, extensions } })
    const { payload } = await socket.nextOf('w')
    await socket.nextOf('w')
    return (payload as { data: { viewer: { id: string } } }).data.viewer.id
  }
  const byHeader = await openSocket(app, { token: grace.token, socket: { headers: { cookie } } })
  expect(await asked(byHeader)).toBe(grace.id)
  await byHeader.close()
  // as GraphiQL does, whose header comes with each operation
  const later = await openSocket(app, { token: null, socket: { headers: { cookie } } })
  const headers = { authorization: `Bearer ${grace.token}` }
  expect(await asked(later)).not.toBe(grace.id)
  expect(await asked(later, { headers })).toBe(grace.id)
  expect(await asked(later)).toBe(grace.id)
  await later.close()
  // and is counted as hers, until it is closed
  await expect.poll(() => app.services.presence.onlineAmong([grace.id]), { timeout: 10_000 }).toEqual(new Set())
})

it('a token from elsewhere is put into the cookie if it is good, and an API key never is', async () => {
  const headers = { origin: app.url }
  const token = await signToken({ sub: 'olive', name: 'Olive' }, 120)
  const answer = await post(app, enterDocument, { token }, { headers })
  expect(answer.body.data!.signIn).toMatchObject({ user: { name: 'Olive' } })
  expect(pairOf(cookiesOf(answer)[0])).toBe(`parley_token=${token}`)
  expect(cookiesOf(answer)[0]).toMatch(/Max-Age=1(1\d|2[01])$/)

  const made = await post<{ createApiKey: { key: string } }>(
    app,
    'mutation { createApiKey(input: { name: "x", scopes: [READ] }) { ... on CreateApiKeySuccess { key } } }',
    {},
    { token },
  )
  for (const wrong of [
    ...[await signToken({ sub: 'olive' }, -60), 'nonsense', made.body.data!.createApiKey.key],
    ...[`${token}; Domain=example.test`, `${token}\r\nset-cookie: a=b`, `${token}${'A'.repeat(4000)}`],
  ]) {
    const refused = await post(app, enterDocument, { token: wrong }, { headers })
    expect(refused.body.data!.signIn).toMatchObject({ code: 'INVALID_INPUT', fields: [{ path: ['token'] }] })
    expect(cookiesOf(refused)).toEqual([])
  }
  const socket = await openSocket(app, { token: null })
  socket.subscribe('1', enterDocument, { token })
  expect(JSON.stringify((await socket.nextOf('1')).payload)).toContain('INVALID_INPUT')
  await socket.close()
})

it('signing out ends the token, its socket and the cookie; with a header the cookie stays', async () => {
  const [{ cookie, id, token }, grace] = [await visitor(), await signIn(app, 'Grace')]
  const sessionId = await createSession(app, { id, name: '', token })
  await send(app, { id, name: '', token }, sessionId, 'Hello [[tokens=3]]')
  const byHeader = await post(app, signOutDocument, {}, { token: grace.token, headers: { cookie, origin: app.url } })
  expect(cookiesOf(byHeader)).toEqual([])

  const socket = await openSocket(app, { token: null, origin: app.url, socket: { headers: { cookie } } })
  const answer = await post(app, signOutDocument, {}, { headers: { cookie, origin: app.url } })
  expect(answer.body.data).toEqual({ signOut: { __typename: 'SignOutSuccess' } })
  expect(cookiesOf(answer)).toEqual(['parley_token=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0'])
  expect((await socket.closed).code).toBe(4403)
  expect((await post(app, who, {}, { token })).status).toBe(401)
})

it('a cookie that is no longer good counts as none over HTTP, so that one can sign in, and closes a WebSocket', async () => {
  const headers = { cookie: `parley_token=${await signToken({ sub: 'late' }, -60)}`, origin: app.url }
  expect((await post(app, who, {}, { headers })).body).toEqual({ data: { viewer: null } })
  const { body } = await post(app, '{ sessions { totalCount } }', {}, { headers })
  expect(body.errors?.[0]?.extensions?.code).toBe('UNAUTHENTICATED')
  const guest = await post<SignedIn>(app, signInDocument, { keepInCookie: true }, { headers })
  expect(cookiesOf(guest)).toHaveLength(1)
  const socket = await openSocket(app, { socket: { headers } })
  socket.send({ type: 'connection_init', payload: {} })
  expect((await socket.closed).code).toBe(4403)
})

it('a cookie header of any form is read without harm', async () => {
  const { cookie, id } = await visitor()
  const forms: [string, string | undefined][] = [
    [`theme=dark; ${cookie}; other=1`, id],
    [`  ${cookie}  `, id],
    ['parley_token=', undefined],
    ['parley_token', undefined],
    ['=; ;;=parley_token', undefined],
    [`xparley_token=${cookie.split('=')[1]}`, undefined],
    [`parley_token=${'x'.repeat(9000)}`, undefined],
  ]
  for (const [form, expected] of forms) {
    const answer = await post(app, who, {}, { headers: { cookie: form } })
    expect([form.slice(0, 20), answer.status, viewerOf(answer)]).toEqual([form.slice(0, 20), 200, expected])
  }
})
