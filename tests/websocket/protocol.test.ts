import { randomBytes } from 'node:crypto'
import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { signToken, startApp, type TestApp } from '../support/app.ts'
import { gql, officialClient, openSocket, refusedUpgrade, signIn, type Person } from '../support/clients.ts'
import { createSession } from '../support/operations.ts'

let app: TestApp
let ada: Person
beforeAll(async () => {
  app = await startApp({
    env: {
      CONNECTION_INIT_TIMEOUT_MS: '300',
      ALLOWED_ORIGINS: 'https://app.example',
      MAX_SOCKETS_PER_USER: '3',
      MAX_SUBSCRIPTIONS_PER_SOCKET: '4',
      PING_INTERVAL_MS: '200',
    },
  })
  ada = await signIn(app)
})
afterAll(() => app?.stop())

const closeOf = async (socket: { closed: Promise<{ code: number }> }): Promise<number> => (await socket.closed).code
const typing = 'subscription ($sessionId: ID!) { typing(sessionId: $sessionId) { isTyping } }'

/** Code of the close frame behind an upgrade with these subprotocols; a client library would not take it so far. */
function closeAfterUpgrade(protocols: string | undefined): Promise<number> {
  const headers = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': randomBytes(16).toString('base64'),
    ...(protocols === undefined ? {} : { 'sec-websocket-protocol': protocols }),
  }
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port: app.port, path: '/graphql', headers })
      .on('error', reject)
      .on('upgrade', (_response, socket, head) => {
        let bytes = head
        const read = (): void => {
          if (bytes.length < 4) return
          socket.destroy()
          if (bytes[0] !== 0x88) reject(new Error(`Not a close frame: ${bytes.toString('hex')}`))
          else resolve(bytes.readUInt16BE(2))
        }
        socket.on('error', reject).on('data', (chunk: Buffer) => {
          bytes = Buffer.concat([bytes, chunk])
          read()
        })
        read()
      })
      .end()
  })
}

describe('the upgrade', () => {
  it('is refused with 404 anywhere but at /graphql', async () => {
    expect(await refusedUpgrade(app, '/')).toBe(404)
    expect(await refusedUpgrade(app, '/graphql/x')).toBe(404)
  })

  it.each(['http://evil.example', 'https://app.example.evil.example', 'null', 'http://127.0.0.1:1'])(
    'is refused with 403 to a page of %s',
    async (origin) => {
      expect(await refusedUpgrade(app, '/graphql', { origin })).toBe(403)
    },
  )

  it('is granted to our own pages, to those of a listed origin, and to programs', async () => {
    for (const origin of [app.url, 'https://app.example', undefined]) {
      const socket = await openSocket(app, { ...(origin ? { origin } : {}), token: null })
      await socket.close()
    }
    expect(app.services.connectionCount()).toBeGreaterThanOrEqual(0)
  })
})

describe('the subprotocol', () => {
  it.each([['graphql-ws'], ['foo, bar'], [undefined]])(
    'is graphql-transport-ws, and 4406 with %j',
    async (protocols) => {
      expect(await closeAfterUpgrade(protocols)).toBe(4406)
    },
  )

  it('may be one of several that a client speaks', async () => {
    const socket = await openSocket(app, { protocols: ['graphql-ws', 'graphql-transport-ws'], token: null })
    expect(socket.socket.protocol).toBe('graphql-transport-ws')
    await socket.close()
  })
})

describe('connection_init', () => {
  it('is acknowledged, with a token and without', async () => {
    for (const token of [ada.token, null]) {
      const socket = await openSocket(app, { token })
      expect(socket.received.map(({ raw }) => JSON.parse(raw) as object)).toEqual([{ type: 'connection_ack' }])
      await socket.close()
    }
  })

  it('is waited for no longer than its time, then 4408', async () => {
    expect(await closeOf(await openSocket(app))).toBe(4408)
  })

  it('may come once, the second time is 4429', async () => {
    const socket = await openSocket(app, { token: null })
    socket.send({ type: 'connection_init' })
    expect(await closeOf(socket)).toBe(4429)
  })

  it('may not come twice before the first is acknowledged either', async () => {
    const socket = await openSocket(app)
    const init = { type: 'connection_init', payload: { authorization: `Bearer ${ada.token}` } }
    socket.send(init)
    socket.send(init)
    expect(await closeOf(socket)).toBe(4429)
  })

  it.each([
    ['malformed', async () => 'nonsense'],
    ['expired', () => signToken({ sub: 'late' }, -5)],
  ])('with a token that is %s is 4403', async (_what, makeToken) => {
    const socket = await openSocket(app)
    socket.send({ type: 'connection_init', payload: { authorization: `Bearer ${await makeToken()}` } })
    expect(await socket.closed).toEqual({ code: 4403, reason: expect.stringMatching(/token/i) })
    expect(socket.received).toEqual([])
  })

  it.each(['', 'Bearer', 'Bearer '])('whose authorization is "%s" is 4403, and not nobody', async (authorization) => {
    const socket = await openSocket(app)
    socket.send({ type: 'connection_init', payload: { authorization } })
    expect(await socket.closed).toEqual({ code: 4403, reason: expect.stringContaining('Bearer <token>') })
    expect(socket.received).toEqual([])
  })

  it.each([undefined, {}, { authorization: null }])('without an authorization is nobody’s: %j', async (payload) => {
    const socket = await openSocket(app)
    socket.send({ type: 'connection_init', payload })
    expect((await socket.next()).type).toBe('connection_ack')
    await socket.close()
  })

  it('has a payload that is an object, or none', async () => {
    for (const payload of [[], 'text', 42]) {
      const socket = await openSocket(app)
      socket.send({ type: 'connection_init', payload })
      expect(await closeOf(socket)).toBe(4400)
    }
  })
})

describe('a frame', () => {
  it('that subscribes before the acknowledgement is 4401', async () => {
    const socket = await openSocket(app)
    socket.subscribe('1', '{ __typename }')
    expect(await closeOf(socket)).toBe(4401)
  })

  it.each([
    'nonsense',
    '{',
    '[]',
    'null',
    '"{\\"type\\":\\"ping\\"}"',
    '{"__proto__":{"type":"ping"}}',
    '1e999',
    '{"type":"what"}',
    '{"type":"subscribe"}',
    '{"id":"1","type":"subscribe","payload":{}}',
    '{"id":"1","type":"subscribe","payload":{"query":7}}',
    '{"id":"","type":"subscribe","payload":{"query":"{__typename}"}}',
    '{"type":"complete"}',
    '{"type":"connection_ack"}',
    '{"id":"1","type":"next","payload":{"data":{}}}',
    '{"id":"1","type":"subscribe","payload":{"query":"{__typename}","variables":"x"}}',
  ])('that is no message of the protocol is 4400: %s', async (frame) => {
    const socket = await openSocket(app, { token: null })
    socket.send(frame)
    expect(await closeOf(socket)).toBe(4400)
  })

  it('of more than 64 KiB is 1009, and one a little smaller is read', async () => {
    const socket = await openSocket(app, { token: null })
    const frame = (bytes: number) => {
      const empty = JSON.stringify({
        id: '1',
        type: 'subscribe',
        payload: { query: '{__typename}', extensions: { x: '' } },
      })
      return empty.replace('""', `"${'x'.repeat(bytes - empty.length)}"`)
    }
    socket.send(frame(65_536))
    expect(await socket.nextOf('1')).toMatchObject({ type: 'next', payload: { data: { __typename: 'Query' } } })
    socket.send(frame(65_537))
    expect(await closeOf(socket)).toBe(1009)
  })

  it('with an id that is in use is 4409, and may use it again after complete', async () => {
    const sessionId = await createSession(app, ada)
    const socket = await openSocket(app, { token: ada.token })
    socket.subscribe('1', typing, { sessionId })
    socket.complete('1')
    socket.subscribe('1', typing, { sessionId })
    await socket.roundTrip()
    expect(socket.socket.readyState).toBe(socket.socket.OPEN)
    socket.subscribe('1', '{ __typename }')
    expect(await closeOf(socket)).toBe(4409)
  })

  it('that pings is answered by a pong without its payload, also before the acknowledgement', async () => {
    const socket = await openSocket(app)
    socket.send({ type: 'ping', payload: { when: 'now' } })
    expect(JSON.parse((await socket.next()).raw)).toEqual({ type: 'pong' })
    socket.send({ type: 'pong' })
    socket.send({ type: 'ping' })
    expect(await socket.next()).toMatchObject({ type: 'pong' })
    await socket.close()
  })

  it('that completes what is not there does no harm', async () => {
    const socket = await openSocket(app, { token: null })
    socket.complete('nobody')
    socket.complete('nobody')
    await socket.roundTrip()
    expect(socket.received.map(({ type }) => type)).toEqual(['connection_ack', 'pong'])
    await socket.close()
  })
})

describe('an operation over a socket', () => {
  it('may be a query or a mutation, answered once and completed', async () => {
    const socket = await openSocket(app, { token: ada.token })
    socket.subscribe('q', 'query Who($x: Boolean!) { viewer { name id @skip(if: $x) } }', { x: true }, 'Who')
    expect((await socket.until('q', ({ type }) => type === 'complete')).map(({ raw }) => raw)).toEqual([
      '{"id":"q","type":"next","payload":{"data":{"viewer":{"name":"Ada"}}}}',
      '{"id":"q","type":"complete"}',
    ])
    socket.subscribe('m', 'mutation { createSession(input: {}) { ... on CreateSessionSuccess { session { id } } } }')
    const made = (await socket.nextOf('m')).payload as { data: { createSession: { session: { id: string } } } }
    const { session } = await gql(
      app,
      'query ($id: ID!) { session(id: $id) { id } }',
      { id: made.data.createSession.session.id },
      ada,
    )
    expect(session).not.toBeNull()
    await socket.close()
  })

  it('that is wrong gets one error frame and nothing more, and the socket stays', async () => {
    const socket = await openSocket(app, { token: null })
    for (const [id, query] of [
      ['syntax', '{'],
      ['field', 'subscription { nix }'],
      ['long', '{ __typename }'.padEnd(15_001)],
      ['unnamed', 'query A { __typename } query B { __typename }'],
    ] as const) {
      socket.subscribe(id, query)
      const frame = await socket.nextOf(id)
      expect(frame.type, id).toBe('error')
      expect((frame.payload as { message: string }[])[0]!.message).toBeTruthy()
    }
    await socket.roundTrip()
    expect(socket.received.some(({ type }) => type === 'complete')).toBe(false)
    await socket.close()
  })

  it('that the anonymous may not ask for gets UNAUTHENTICATED', async () => {
    const socket = await openSocket(app, { token: null })
    socket.subscribe('q', '{ sessions { totalCount } }')
    expect(await socket.nextOf('q')).toMatchObject({
      payload: { data: null, errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] },
    })
    socket.subscribe('s', 'subscription { viewerEvents { __typename } }')
    expect(await socket.nextOf('s')).toMatchObject({
      payload: { errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] },
    })
    await socket.close()
  })

  it('may be one of only so many at once', async () => {
    const sessionId = await createSession(app, ada)
    const socket = await openSocket(app, { token: ada.token })
    for (const id of ['1', '2', '3', '4']) socket.subscribe(id, typing, { sessionId })
    socket.subscribe('5', typing, { sessionId })
    expect(await socket.nextOf('5')).toMatchObject({
      type: 'error',
      payload: [{ extensions: { code: 'RATE_LIMITED' } }],
    })
    socket.complete('1')
    socket.subscribe('6', '{ __typename }')
    expect(await socket.nextOf('6')).toMatchObject({ type: 'next' })
    await socket.close()
  })

  it('works by the official client', async () => {
    const client = officialClient(app, ada.token)
    const results = client.iterate({ query: '{ viewer { name } }' })
    expect(await results.next()).toEqual({ done: false, value: { data: { viewer: { name: 'Ada' } } } })
    expect(await results.next()).toEqual({ done: true, value: undefined })
    await client.dispose()
  })
})

describe('a socket', () => {
  it('is one of at most so many of its user; one that is closed makes room', async () => {
    const bob = await signIn(app, 'Bob')
    const open = await Promise.all([1, 2, 3].map(() => openSocket(app, { token: bob.token })))
    const tooMany = await openSocket(app)
    tooMany.send({ type: 'connection_init', payload: { authorization: `Bearer ${bob.token}` } })
    expect(await closeOf(tooMany)).toBe(4429)
    await open[0]!.close()
    await expect
      .poll(async () => {
        const socket = await openSocket(app)
        socket.send({ type: 'connection_init', payload: { authorization: `Bearer ${bob.token}` } })
        const first = await Promise.race([socket.next().catch(() => undefined), socket.closed])
        await socket.close()
        return first && 'type' in first ? first.type : 'closed'
      })
      .toBe('connection_ack')
    for (const socket of open) await socket.close()
  })

  it('is closed with 4403 when its token ends, in the middle of a subscription', async () => {
    const token = await signToken({ sub: 'brief', name: 'Brief' }, 2)
    const sessionId = await createSession(app, { id: '', name: '', token })
    const socket = await openSocket(app, { token })
    socket.subscribe('1', 'subscription ($s: ID!) { sessionEvents(sessionId: $s) { seq } }', { s: sessionId })
    expect(await socket.closed).toEqual({ code: 4403, reason: 'The token has expired' })
  })

  it('that answers no ping is ended, and one that does stays', async () => {
    const [silent, alive] = await Promise.all([
      openSocket(app, { token: null, socket: { autoPong: false } }),
      openSocket(app, { token: null }),
    ])
    let pings = 0
    const three = new Promise<void>((resolve) => alive.socket.on('ping', () => ++pings === 3 && resolve()))
    expect(await closeOf(silent)).toBe(1006)
    await three
    expect(alive.socket.readyState).toBe(alive.socket.OPEN)
    await alive.close()
  })

  it('does not compress', async () => {
    const socket = await openSocket(app, { token: null, socket: { perMessageDeflate: true } })
    expect(socket.socket.extensions).toBe('')
    await socket.close()
  })

  it('is told to come back when the server stops', async () => {
    const other = await startApp()
    const socket = await openSocket(other, { token: null })
    await other.stop()
    expect(await closeOf(socket)).toBe(1012)
  })
})

it('nothing of all this was an error of the server', () => {
  expect(app.logged).toEqual([])
})
