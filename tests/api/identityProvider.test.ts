import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, type CryptoKey, type JWK } from 'jose'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { signToken, startApp, type TestApp } from '../support/app.ts'
import { openSocket, post } from '../support/clients.ts'

interface Key {
  kid: string
  privateKey: CryptoKey
  publicKey: CryptoKey
  jwk: JWK
}

async function makeKey(kid: string, alg = 'EdDSA'): Promise<Key> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  return { kid, privateKey, publicKey, jwk: { ...(await exportJWK(publicKey)), alg, kid } }
}

let app: TestApp
let provider: Server
let first: Key
/** What the provider publishes; null while it does not answer. */
let published: Key[] | null = []
let fetches = 0
beforeAll(async () => {
  first = await makeKey('first')
  provider = createServer((request, response) => {
    fetches++
    if (!published) return void request.socket.destroy()
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ keys: published.map(({ jwk }) => jwk) }))
  })
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve))
  const { port } = provider.address() as AddressInfo
  app = await startApp({
    env: {
      AUTH_JWKS_URL: `http://127.0.0.1:${port}/jwks`,
      AUTH_ISSUER: 'https://issuer.test',
      AUTH_AUDIENCE: 'parley',
      AUTH_JWKS_MAX_AGE_SECONDS: '1',
      AUTH_JWKS_COOLDOWN_SECONDS: '0',
    },
  })
})
afterAll(async () => {
  await app?.stop()
  provider?.closeAllConnections()
  await new Promise((resolve) => provider?.close(resolve))
})

const now = () => Math.floor(Date.now() / 1000)
const claims = (changed: Record<string, unknown> = {}) => ({
  ...{ sub: 'olive', name: 'Olive', iss: 'https://issuer.test', aud: 'parley', exp: now() + 3600 },
  ...changed,
})
const sign = ({ privateKey, kid, jwk }: Key, changed?: Record<string, unknown>): Promise<string> =>
  new SignJWT(claims(changed)).setProtectedHeader({ alg: jwk.alg!, kid }).sign(privateKey)

const ask = async (token: string): Promise<unknown[]> => {
  const { status, body } = await post<{ viewer: { name: string } | null }>(app, '{ viewer { name } }', {}, { token })
  return [status, body.errors?.[0]?.extensions?.code ?? body.data?.viewer?.name]
}
const good = [200, 'Olive']
const refused = [401, 'UNAUTHENTICATED']

it('a token is not called wrong while the keys of its provider cannot be fetched, and is good once they can', async () => {
  published = null
  const token = await sign(first)
  expect(await ask(token)).toEqual([503, 'PROVIDER_UNAVAILABLE'])
  const waiting = await openSocket(app)
  waiting.send({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } })
  // try again later: the official client does, and keeps its token
  expect((await waiting.closed).code).toBe(1013)
  expect(waiting.received).toEqual([])

  published = [first]
  // longer than the second for which it is left alone after a failure
  await expect.poll(() => ask(token), { timeout: 10_000 }).toEqual(good)
  const admitted = await openSocket(app, { token })
  expect(admitted.received.map(({ type }) => type)).toEqual(['connection_ack'])
  await admitted.close()
})

it('while the provider is away known keys go on, and a token by another key may come again, without a fetch for each', async () => {
  published = [first]
  await expect.poll(async () => ask(await sign(first))).toEqual(good)
  published = null
  expect(await ask(await sign(first, { jti: 'made while it is away' }))).toEqual(good)
  const before = fetches
  const stranger = await makeKey('stranger')
  for (let n = 0; n < 20; n++)
    expect(await ask(await sign(stranger, { jti: String(n) }))).toEqual([503, 'PROVIDER_UNAVAILABLE'])
  expect(fetches - before).toBeLessThan(20)
  const newest = await sign(stranger)
  const { headers } = await post(app, '{ viewer { name } }', {}, { token: newest })
  expect(headers.get('retry-after')).toBe('1')
  const waiting = await openSocket(app)
  waiting.send({ type: 'connection_init', payload: { authorization: `Bearer ${newest}` } })
  expect((await waiting.closed).code).toBe(1013)

  published = [first]
  await expect.poll(() => ask(newest), { timeout: 10_000 }).toEqual(refused)
})

it('a key is fetched when a token first names it, and one that was withdrawn stops working, also for open sockets and tokens that were good', async () => {
  published = [first]
  const old = await sign(first)
  await expect.poll(() => ask(old)).toEqual(good)
  const [socket, anonymous] = [await openSocket(app, { token: old }), await openSocket(app, { token: null })]

  const second = await makeKey('second')
  published = [first, second]
  await expect.poll(async () => ask(await sign(second))).toEqual(good)
  expect(await ask(old)).toEqual(good)

  published = [second]
  expect(await socket.closed).toMatchObject({ code: 4403 })
  expect(await ask(old)).toEqual(refused)
  expect(await ask(await sign(second))).toEqual(good)
  await anonymous.roundTrip()
  await anonymous.close()
})

it('a token that names no key is tried by each that is published', async () => {
  const other = await makeKey('other')
  published = [first, other]
  const unnamed = ({ privateKey }: Key) => new SignJWT(claims()).setProtectedHeader({ alg: 'EdDSA' }).sign(privateKey)
  await expect.poll(async () => ask(await sign(other))).toEqual(good)
  expect(await ask(await unnamed(first))).toEqual(good)
  expect(await ask(await unnamed(other))).toEqual(good)
  expect(await ask(await unnamed(await makeKey('stranger')))).toEqual(refused)
})

it('no token that is expired, early, forged, or meant for others is taken, over HTTP and WebSocket alike', async () => {
  const rsa = await makeKey('rsa', 'RS256')
  published = [first, rsa]
  await expect.poll(async () => ask(await sign(rsa))).toEqual(good)
  const header = (fields: object) => Buffer.from(JSON.stringify(fields)).toString('base64url')
  const body = header(claims())
  const [, genuineBody, signature] = (await sign(first)).split('.')
  // the public key, which anyone knows, as if it were a shared secret
  const publicAsSecret = Buffer.from(await exportSPKI(rsa.publicKey))
  const tokens: Record<string, string> = {
    expired: await sign(first, { exp: now() - 60 }),
    'of the future': await sign(first, { nbf: now() + 60 }),
    'without an end': await sign(first, { exp: undefined }),
    'of another issuer': await sign(first, { iss: 'https://other.test' }),
    'of no issuer': await sign(first, { iss: undefined }),
    'for another audience': await sign(first, { aud: 'others' }),
    'for no audience': await sign(first, { aud: undefined }),
    'by a stranger under a known name': await sign(await makeKey('first')),
    'with other claims than were signed': `${(await sign(first)).split('.')[0]}.${header(claims({ sub: 'admin', admin: true }))}.${signature}`,
    'with alg none': `${header({ alg: 'none' })}.${body}.`,
    'with alg None and a signature': `${header({ alg: 'None', kid: 'first' })}.${genuineBody}.${signature}`,
    'with HS256 by the public key': await new SignJWT(claims())
      .setProtectedHeader({ alg: 'HS256', kid: 'rsa' })
      .sign(publicAsSecret),
    'with its key in the header': await new SignJWT(claims())
      .setProtectedHeader({ alg: 'EdDSA', jwk: (await makeKey('own')).jwk })
      .sign((await makeKey('own')).privateKey),
  }
  for (const [kind, token] of Object.entries(tokens)) {
    expect([kind, ...(await ask(token))]).toEqual([kind, ...refused])
    const socket = await openSocket(app)
    socket.send({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } })
    expect([kind, (await socket.closed).code]).toEqual([kind, 4403])
    expect(socket.received).toEqual([])
  }
})

it('the clock of the provider may differ by the seconds that are set, for the whole life of a socket', async () => {
  const lenient = await startApp({ env: { AUTH_CLOCK_SKEW_SECONDS: '3' } })
  try {
    const ended = await signToken({ sub: 'late', name: 'Late' }, -1)
    const socket = await openSocket(lenient, { token: ended })
    const { body } = await post(lenient, '{ viewer { name } sessions { totalCount } }', {}, { token: ended })
    expect(body).toEqual({ data: { viewer: { name: 'Late' }, sessions: { totalCount: 0 } } })
    expect((await socket.closed).code).toBe(4403)
    expect((await post(lenient, '{ viewer { name } }', {}, { token: ended })).status).toBe(401)
  } finally {
    await lenient.stop()
  }
})
