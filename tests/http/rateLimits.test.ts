import { afterEach, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { gql, openSocket, post, signIn } from '../support/clients.ts'
import { countRows } from '../support/counts.ts'
import { createSession, mutate, onError, trySend, type Failure } from '../support/operations.ts'

let app: TestApp
afterEach(() => app?.stop())

describe('changes of one user', () => {
  const few = { RATE_LIMIT_PER_MINUTE: '4', MUTATIONS_PER_MINUTE: '4' }
  const create = `createSession(input: {}) { __typename ${onError} }`

  it('are so many a minute, of every kind together; then nothing changes, and the answer says when to come again', async () => {
    app = await startApp({ env: few })
    const [ada, bob] = [await signIn(app), await signIn(app, 'Bob')]
    const sessionId = await createSession(app, ada)
    await mutate(app, ada, 'updateSession', { sessionId, title: 'Mine' })
    await mutate(app, ada, 'inviteToSession', { sessionId })
    await createSession(app, ada)

    const before = await countRows(app.services)
    const { createSession: refused } = await gql<{ createSession: Failure }>(app, `mutation { ${create} }`, {}, ada)
    expect(refused).toEqual({
      __typename: 'RateLimitedError',
      code: 'RATE_LIMITED',
      message: expect.stringMatching(/Try again in \d+ s\./),
      retryAfterMs: expect.any(Number),
    })
    expect(refused.retryAfterMs).toBeGreaterThan(0)
    for (const [name, input] of [
      ['updateSession', { sessionId, title: 'Not mine' }],
      ['inviteToSession', { sessionId }],
      ['deleteSessions', { sessionIds: [sessionId] }],
    ] as const)
      expect(await mutate(app, ada, name, input), name).toMatchObject({ __typename: 'RateLimitedError' })
    expect(await countRows(app.services)).toEqual(before)

    expect(await createSession(app, bob)).toBeTruthy()
    expect((await trySend(app, ada, { sessionId, content: 'still heard' })).__typename).toBe('SendMessageSuccess')
  })

  it('count one by one where a document has several, over WebSocket too', async () => {
    app = await startApp({ env: few })
    const ada = await signIn(app)
    const socket = await openSocket(app, { token: ada.token })
    socket.subscribe(
      '1',
      `mutation { ${['a', 'b', 'c', 'd', 'e', 'f'].map((alias) => `${alias}: ${create}`).join(' ')} }`,
    )
    const { payload } = await socket.nextOf('1')
    expect(
      Object.values((payload as { data: Record<string, Failure> }).data).map(({ __typename }) => __typename),
    ).toEqual([...Array<string>(4).fill('CreateSessionSuccess'), ...Array<string>(2).fill('RateLimitedError')])
    await socket.close()
  })

  it('do not count typing, nor stopping an answer', async () => {
    app = await startApp({ env: few })
    const ada = await signIn(app)
    const sessionId = await createSession(app, ada)
    for (let change = 0; change < 10; change++)
      expect(await mutate(app, ada, 'setTyping', { sessionId, isTyping: true })).toMatchObject({
        __typename: 'SetTypingSuccess',
      })
    expect(await createSession(app, ada)).toBeTruthy()
  })
})

it('a send that is refused for too many answers at once does not count among the messages', async () => {
  app = await startApp({ env: { RATE_LIMIT_PER_MINUTE: '3', MAX_CONCURRENT_GENERATIONS: '1' } })
  const ada = await signIn(app)
  const sessionId = await createSession(app, ada)
  const send = (content: string) => trySend(app, ada, { sessionId, content })
  const running = await send('a long one [[tokens=100000 rate=10]]')
  for (let tries = 0; tries < 6; tries++) expect((await send('x')).code).toBe('TOO_MANY_GENERATIONS')
  await mutate(app, ada, 'stopGeneration', { generationId: running.generation!.id })
  for (const more of [1, 2])
    expect(await trySend(app, ada, { sessionId, content: `${more}`, respond: false })).toMatchObject({
      __typename: 'SendMessageSuccess',
    })
  expect((await send('one too many')).code).toBe('RATE_LIMITED')
})

describe('wrong tokens of one address', () => {
  it('are so many a minute, whichever way they come; then none is looked at, and the anonymous are still served', async () => {
    app = await startApp({ env: { WRONG_TOKENS_PER_MINUTE_PER_ADDRESS: '3', TRUST_PROXY: '1' } })
    const ada = await signIn(app)
    const from = (address: string) => ({ 'x-forwarded-for': address })
    const ask = (token: string, address = '203.0.113.7') =>
      post(app, '{ viewer { name } }', {}, { token, headers: from(address) })
    const connect = async (token: string): Promise<unknown> => {
      const socket = await openSocket(app, { socket: { headers: from('203.0.113.7') } })
      socket.send({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } })
      return socket.closed
    }
    expect((await ask('wrong')).status).toBe(401)
    expect((await ask('wrong')).status).toBe(401)
    expect(await connect('wrong')).toMatchObject({ code: 4403 })

    for (const token of ['wrong', ada.token]) {
      const { status, body } = await ask(token)
      expect(status).toBe(429)
      expect(body.errors).toEqual([
        {
          message: expect.stringContaining('wrong tokens'),
          extensions: { code: 'RATE_LIMITED', retryAfterMs: expect.any(Number) },
        },
      ])
      expect(await connect(token)).toMatchObject({ code: 1013 })
    }
    expect((await post(app, '{ viewer { name } }', {}, { headers: from('203.0.113.7') })).body).toEqual({
      data: { viewer: null },
    })
    expect((await ask(ada.token, '203.0.113.8')).body).toEqual({ data: { viewer: { name: 'Ada' } } })
  })
})
