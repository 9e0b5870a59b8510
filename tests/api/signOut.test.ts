import { SignJWT } from 'jose'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Identity } from '../../server/guards/identity.ts'
import { authSecret, startApp, signToken, type TestApp } from '../support/app.ts'
import { gql, openSocket, post, signIn, type Person } from '../support/clients.ts'
import { createSession, send } from '../support/operations.ts'
import { openStream } from '../http/eventStream.ts'

let app: TestApp
beforeAll(async () => void (app = await startApp()))
afterAll(() => app?.stop())

const signOutDocument = `mutation { signOut { __typename ... on SignOutSuccess { user { id } } } }`
const signOut = (by: Person) =>
  gql<{ signOut: { __typename: string; user: { id: string } } }>(app, signOutDocument, {}, by)
const status = async (token: string) => (await post(app, '{ viewer { id } }', {}, { token })).status
/** A second is promised; a busy machine may add to it. */
const soonMs = 5_000
const follow = `subscription ($sessionId: ID!) { sessionEvents(sessionId: $sessionId, after: 999) { __typename } }`

it('a token that signed out is good for nothing, and what was open by it ends within a second', async () => {
  const ada = await signIn(app)
  const sessionId = await createSession(app, ada)
  const socket = await openSocket(app, { token: ada.token })
  const stream = await openStream(app, { token: ada.token, query: follow, variables: { sessionId } })
  await stream.next()
  await send(app, ada, sessionId, 'Hello [[tokens=5000 rate=50]]')

  expect((await signOut(ada)).signOut).toEqual({ __typename: 'SignOutSuccess', user: { id: ada.id } })
  const at = performance.now()
  expect((await socket.closed).code).toBe(4403)
  const last = (await stream.rest()).filter(({ event }) => event === 'next').at(-1)
  expect(JSON.stringify(last)).toContain('UNAUTHENTICATED')
  expect(performance.now() - at).toBeLessThan(soonMs)

  const { status: refused, body } = await post(app, '{ viewer { id } }', {}, ada)
  expect([refused, body.errors?.[0]?.extensions?.code]).toEqual([401, 'UNAUTHENTICATED'])
  const again = await openSocket(app)
  again.send({ type: 'connection_init', payload: { authorization: `Bearer ${ada.token}` } })
  expect((await again.closed).code).toBe(4403)
})

it('over a socket the answer comes before the close, and what the socket sends after it is nobody’s', async () => {
  const ada = await signIn(app)
  const socket = await openSocket(app, { token: ada.token })
  socket.subscribe('1', signOutDocument)
  expect((await socket.nextOf('1')).payload).toEqual({
    data: { signOut: { __typename: 'SignOutSuccess', user: { id: ada.id } } },
  })
  socket.subscribe('2', '{ sessions { totalCount } }')
  expect(JSON.stringify(await socket.nextOf('2'))).toContain('UNAUTHENTICATED')
  expect((await socket.closed).code).toBe(4403)
})

it('other tokens of the same user go on', async () => {
  const [here, there] = [
    await signToken({ sub: 'two devices' }, 3600),
    await signToken({ sub: 'two devices', name: 'There' }, 3601),
  ]
  const socket = await openSocket(app, { token: there })
  await signOut({ id: '', name: '', token: here })
  expect([await status(here), await status(there)]).toEqual([401, 200])
  await socket.roundTrip()
  await socket.close()
})

it('a token is known again by its own id, or by what is signed of it, however its signature is written', async () => {
  const sign = (jti?: string) => {
    const token = new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setSubject('twin').setExpirationTime('1h')
    if (jti) token.setJti(jti)
    return token.sign(Buffer.from(authSecret))
  }
  for (const jti of ['one', undefined]) {
    const token = await sign(jti)
    // the last of 43 characters of a signature has two bits that mean nothing
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const twin = token.slice(0, -1) + alphabet[alphabet.indexOf(token.at(-1)!) ^ 1]!
    expect(await status(token)).toBe(200)
    await signOut({ id: '', name: '', token })
    expect([jti, await status(token), await status(twin)]).toEqual([jti, 401, 401])
  }
  expect(await status(await sign('another'))).toBe(200)
})

it('the anonymous have nothing to sign out of', async () => {
  const { body } = await post(app, signOutDocument)
  expect(body.errors?.[0]?.extensions?.code).toBe('UNAUTHENTICATED')
})

it('what was revoked stays so over a restart, until the token has ended by itself', async () => {
  const { identity, storage } = app.services
  const token = await signToken({ sub: 'short' }, 3600)
  await signOut({ id: '', name: '', token })
  const started = new Identity(app.services.config, storage, Buffer.from(authSecret))
  await expect(started.verify(token)).rejects.toThrow('revoked')

  const ended = 'e'.repeat(64)
  await storage.transaction((tx) => identity.revoke(tx, ended, new Date(Date.now() - 2 * 86_400_000)))
  await started.start()
  started.stop()
  expect(await storage.read.all(`SELECT * FROM revoked_tokens WHERE credential = ?`, [ended])).toEqual([])
  await expect(started.verify(token)).rejects.toThrow('revoked')
})
