import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { describeSettings, readConfig } from '../../server/config/config.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { openSocket, signIn, type BareSocket, type GraphqlAnswer } from '../support/clients.ts'
import { createSession, mutate } from '../support/operations.ts'

let app: TestApp
let production: TestApp
const sockets: BareSocket[] = []
beforeAll(async () => {
  ;[app, production] = await Promise.all([startApp(), startApp({ env: { NODE_ENV: 'production' } })])
})
afterAll(async () => {
  for (const socket of sockets) await socket.close()
  await Promise.all([app?.stop(), production?.stop()])
})

const open = async (of: TestApp, token?: string | null): Promise<BareSocket> => {
  const socket = await openSocket(of, { token })
  sockets.push(socket)
  return socket
}

describe('by default', () => {
  /** The table of limits that every server starts with. */
  it.each([
    ['MAX_QUERY_DEPTH', 10],
    ['MAX_QUERY_TOKENS', 1_000],
    ['MAX_QUERY_CHARACTERS', 15_000],
    ['MAX_QUERY_COST', 5_000],
    ['MAX_QUERY_ALIASES', 15],
    ['MAX_QUERY_DIRECTIVES', 5],
    ['MAX_BODY_BYTES', 1_048_576],
    ['MAX_FRAME_BYTES', 65_536],
    ['CONNECTION_INIT_TIMEOUT_MS', 3_000],
    ['PING_INTERVAL_MS', 12_000],
    ['MAX_SUBSCRIPTIONS_PER_SOCKET', 50],
    ['MAX_SOCKETS_PER_USER', 20],
    ['MAX_ANONYMOUS_SOCKETS_PER_ADDRESS', 100],
    ['MAX_EVENT_STREAMS_PER_USER', 20],
    ['STUCK_SOCKET_TIMEOUT_MS', 30_000],
    ['PROVIDER_CONNECT_TIMEOUT_MS', 5_000],
    ['PROVIDER_FIRST_TOKEN_TIMEOUT_MS', 60_000],
    ['PROVIDER_SILENCE_TIMEOUT_MS', 30_000],
    ['PROVIDER_TOTAL_TIMEOUT_MS', 600_000],
    ['PROVIDER_ATTEMPTS', 3],
    ['PROVIDER_BREAKER_FAILURES', 5],
    ['PROVIDER_BREAKER_COOLDOWN_MS', 30_000],
    ['RATE_LIMIT_PER_MINUTE', 20],
    ['RATE_LIMIT_PER_MINUTE_PER_ADDRESS', 100],
    ['MAX_CONCURRENT_GENERATIONS', 3],
    ['MAX_MESSAGE_CHARACTERS', 32_000],
    ['MAX_TITLE_CHARACTERS', 500],
    ['MAX_METADATA_BYTES', 16_384],
    ['TRUST_PROXY', 0],
  ])('%s is %i, as --help says', (name, value) => {
    expect(describeSettings()).toMatch(new RegExp(`^ {2}${name} .* \\(default: ${value}\\)$`, 'm'))
    expect(Object.values(readConfig({}))).toContain(value)
    expect(() => readConfig({ [name]: 'many' })).toThrow(new RegExp(`^${name} is "many", but must be `))
  })

  it('an address may send five times what a user may, unless it is set', () => {
    const limitOf = (env: Record<string, string>) => readConfig(env).rateLimitPerMinutePerAddress
    expect(limitOf({ RATE_LIMIT_PER_MINUTE: '1000' })).toBe(5000)
    expect(limitOf({ RATE_LIMIT_PER_MINUTE: '1' })).toBe(100)
    expect(limitOf({ RATE_LIMIT_PER_MINUTE: '1000', RATE_LIMIT_PER_MINUTE_PER_ADDRESS: '7' })).toBe(7)
  })

  it('a user may have 20 sockets, and the next is closed with 4429', async () => {
    const { token } = await signIn(app)
    for (let count = 0; count < 20; count++) await open(app, token)
    const tooMany = await open(app)
    tooMany.send({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } })
    expect(await tooMany.closed).toMatchObject({ code: 4429 })
  })

  it('an address may have 100 sockets without a token, and one that signs in or is closed makes room', async () => {
    const { token } = await signIn(app)
    const come = async (): Promise<string | number> => {
      const socket = await open(app)
      socket.send({ type: 'connection_init' })
      const codeOf = () => socket.closed.then(({ code }) => code)
      return socket.next(({ type }) => type === 'connection_ack').then(() => 'in', codeOf)
    }
    const anonymous = await Promise.all(Array.from({ length: 100 }, () => open(app, null)))
    expect(await come()).toBe(4429)
    const query = '{ viewer { id } }'
    const headers = { authorization: `Bearer ${token}` }
    anonymous[0]!.send({ id: '1', type: 'subscribe', payload: { query, extensions: { headers } } })
    await anonymous[0]!.nextOf('1')
    expect([await come(), await come()]).toEqual(['in', 4429])
    await anonymous[1]!.close()
    await expect.poll(come).toBe('in')
    // what they ask counts nobody twice
    anonymous[2]!.send({ id: '2', type: 'subscribe', payload: { query } })
    expect(await anonymous[2]!.nextOf('2')).toMatchObject({ payload: { data: { viewer: null } } })
    expect(await come()).toBe(4429)
    for (const socket of sockets.splice(0)) await socket.close()
  })

  it('a socket may have 50 subscriptions, and the next is refused while those go on', async () => {
    const ada = await signIn(app)
    const sessionId = await createSession(app, ada)
    const socket = await open(app, ada.token)
    const follow = 'subscription ($s: ID!) { sessionEvents(sessionId: $s, after: 0) { __typename } }'
    for (let id = 1; id <= 51; id++) socket.subscribe(`${id}`, follow, { s: sessionId })
    expect(await socket.nextOf('51')).toMatchObject({
      type: 'error',
      payload: [{ extensions: { code: 'RATE_LIMITED' } }],
    })
    await mutate(app, ada, 'updateSession', { sessionId, title: 'New' })
    for (let id = 1; id <= 50; id++) {
      const [last] = (await socket.until(`${id}`, ({ raw }) => raw.includes('SessionUpdated'))).slice(-1)
      expect(last).toMatchObject({ type: 'next' })
    }
  })
})

describe('bytes that are no frames', () => {
  it.each([
    ['of an unknown kind', [0x8b, 0x80, 1, 2, 3, 4], 1002],
    ['without a mask', [0x81, 0x02, 0x7b, 0x7d], 1002],
    ['that are no UTF-8', [0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28], 1007],
    ['that announce more than may come', [0x81, 0xff, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 1, 2, 3, 4], 1009],
    ['that say they are compressed', [0xc1, 0x82, 0, 0, 0, 0, 0x7b, 0x7d], 1002],
  ])('end the socket alone: %s', async (_what, bytes, code) => {
    const socket = await open(app, null)
    ;(socket.socket as unknown as { _socket: { write(data: Buffer): void } })._socket.write(Buffer.from(bytes))
    expect(await socket.closed).toMatchObject({ code })
    await (await open(app, null)).roundTrip()
  })

  it('of which a message of many frames is made count together', async () => {
    const socket = await open(app, null)
    for (let sent = 0; sent < 9; sent++) socket.socket.send('x'.repeat(8_192), { fin: false })
    expect(await socket.closed).toMatchObject({ code: 1009 })
  })
})

describe('in production the anonymous', () => {
  const introspection = [
    '{ __schema { types { name } } }',
    '{ ...F } fragment F on Query { a: __type(name: "User") { name } }',
  ]
  const misspelt = [
    ['{ sesion(id: "x") { id } }', {}],
    ['mutation ($i: SignInAsGuestInput!) { signInAsGuest(input: $i) { __typename } }', { i: { name: 'x', nam: 'x' } }],
    ['subscription { viewerEvent { __typename } }', {}],
    ['subscription { sessionEvents(sessionIdd: "x") { __typename } }', {}],
  ] as const

  const bySocket = async (query: string, variables = {}): Promise<string> => {
    const socket = await open(production, null)
    socket.subscribe('1', query, variables)
    const { raw } = await socket.nextOf('1')
    await socket.close()
    return raw
  }
  const byStream = async (query: string, variables = {}): Promise<string> => {
    const response = await fetch(`${production.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify({ query, variables }),
    })
    return response.text()
  }

  it.each([
    ['WebSocket', bySocket],
    ['event stream', byStream],
  ])('read no schema and are told no names by %s', async (_way, ask) => {
    for (const query of introspection) {
      const answer = await ask(query)
      expect(answer).toMatch(/introspection/i)
      expect(answer).not.toMatch(/"name":/)
    }
    for (const [query, variables] of misspelt) {
      const answer = await ask(query, variables)
      expect(answer).toContain('"message":')
      expect(answer).not.toMatch(/did you mean/i)
    }
  })

  it('are unlike those who are signed in, who may read the schema over a socket', async () => {
    const { token } = await signIn(production)
    const socket = await open(production, token)
    socket.subscribe('1', '{ __schema { queryType { name } } }')
    expect(((await socket.nextOf('1')).payload as GraphqlAnswer).data).toEqual({
      __schema: { queryType: { name: 'Query' } },
    })
  })
})

it('nothing of all this was an error of the server', () => {
  expect([...app.logged, ...production.logged]).toEqual([])
})
