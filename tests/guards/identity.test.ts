import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readConfig } from '../../server/config/config.ts'
import { UnauthenticatedError } from '../../server/errors.ts'
import { Identity } from '../../server/guards/identity.ts'
import { readSecret } from '../../server/guards/secret.ts'
import { createApiKey } from '../../server/resolvers/apiKeys.ts'
import { openTestStorage } from '../support/storages.ts'
import { databases, openHouse, type House } from '../resolvers/house.ts'

const secret = Buffer.alloc(32, 7)
const sign = (claims: Record<string, unknown>, key: Parameters<SignJWT['sign']>[0] = secret, alg = 'HS256') =>
  new SignJWT({ exp: Math.floor(Date.now() / 1000) + 60, ...claims }).setProtectedHeader({ alg }).sign(key)

describe.each(databases)('tokens on %s', (database) => {
  let house: House
  beforeAll(async () => void (house = await openHouse(database)))
  afterAll(() => house.close())
  const fresh = () => new Identity(house.services.config, house.services.storage, secret)

  test('a guest is who their token says, for 30 days', async () => {
    const guest = await house.user('Grace')
    const [token, other] = [await fresh().signIn(guest), await fresh().signIn(guest)]
    const { user, expiresAt, credential } = await fresh().verify(token)
    expect(user).toEqual(guest)
    // each can be ended by itself
    expect((await fresh().verify(other)).credential.id).not.toBe(credential.id)
    expect((expiresAt.getTime() - Date.now()) / 86_400_000).toBeCloseTo(30, 1)
  })

  test('many first sights of one subject at once are one user, whatever form it has', async () => {
    for (const sub of ['a|b@c ☃', 'x'.repeat(255), '0190A0B0-0000-7000-8000-00000000000A']) {
      const token = await sign({ sub, name: 'New' })
      const before = await house.rows('users')
      const found = await Promise.all(Array.from({ length: 10 }, () => fresh().verify(token)))
      expect(new Set(found.map(({ user }) => user.id)).size).toBe(1)
      expect(await house.rows('users')).toBe(before + 1)
    }
    const { user } = await fresh().verify(await sign({ sub: '0190A0B0-0000-7000-8000-00000000000A' }))
    expect(user.id).toBe('0190a0b0-0000-7000-8000-00000000000a')
  })

  test('the name and the admin role follow the newest token', async () => {
    const identity = fresh()
    const { user } = await identity.verify(await sign({ sub: 'renamed', name: 'Before' }))
    const after = await identity.verify(await sign({ sub: 'renamed', name: 'After', admin: true }))
    expect(after.user).toEqual({ ...user, name: 'After', isAdmin: true })
    expect((await fresh().verify(await sign({ sub: 'renamed', name: 'After' }))).user.isAdmin).toBe(false)
  })

  test('an admin is who is named by the settings, as subject of a token or as id of a guest, from the next token on', async () => {
    const guest = await house.user('Operator')
    const adminSubjects = ['auth0|root', guest.id.toUpperCase()]
    const named = new Identity({ ...house.services.config, adminSubjects }, house.services.storage, secret)
    for (const token of [await sign({ sub: 'auth0|root' }), await fresh().signIn(guest)])
      expect((await named.verify(token)).user.isAdmin).toBe(true)
    for (const sub of ['auth0|roo', 'AUTH0|ROOT', 'root'])
      expect((await named.verify(await sign({ sub }))).user.isAdmin).toBe(false)
    // and no longer than that
    expect((await fresh().verify(await fresh().signIn(guest))).user.isAdmin).toBe(false)
  })

  test('a key of an admin whom the settings no longer name is no key of an admin', async () => {
    const guest = await house.user('Former operator')
    const adminSubjects = [guest.id]
    const named = (): Identity =>
      new Identity({ ...house.services.config, adminSubjects }, house.services.storage, secret)
    const { user } = await named().verify(await fresh().signIn(guest))
    const { key } = await createApiKey(house.ctx(user), { name: 'Figures', scopes: ['admin'] })
    expect((await named().verify(key)).user.isAdmin).toBe(true)
    // without a token of theirs in between
    expect((await fresh().verify(key)).user.isAdmin).toBe(false)
  })

  test('a token may begin and end as much earlier or later as clocks may differ', async () => {
    const now = Math.floor(Date.now() / 1000)
    const lenient = new Identity({ ...house.services.config, authClockSkewSeconds: 30 }, house.services.storage, secret)
    const exp = now - 20
    const { expiresAt } = await lenient.verify(await sign({ sub: 'skewed', exp }))
    expect(expiresAt.getTime()).toBe((exp + 30) * 1000)
    await lenient.verify(await sign({ sub: 'skewed', nbf: now + 20 }))
    for (const claims of [{ exp: now - 40 }, { nbf: now + 40 }])
      await expect(lenient.verify(await sign({ sub: 'skewed', ...claims }))).rejects.toThrow(UnauthenticatedError)
    for (const claims of [{ exp }, { nbf: now + 20 }])
      await expect(fresh().verify(await sign({ sub: 'skewed', ...claims }))).rejects.toThrow(UnauthenticatedError)
  })

  test('a token whose end is beyond all dates is a token', async () => {
    const identity = fresh()
    const token = await sign({ sub: 'eternal', exp: 1e300 })
    for (let n = 0; n < 2; n++) expect((await identity.verify(token)).expiresAt.getUTCFullYear()).toBe(9999)
  })

  test('a token that was verified costs no query for a while', async () => {
    const identity = fresh()
    const token = await sign({ sub: 'cached', name: 'C' })
    await identity.verify(token)
    house.reads.length = 0
    await identity.verify(token)
    expect(house.reads).toEqual([])
  })

  test('anything wrong with a token is UNAUTHENTICATED', async () => {
    const now = Math.floor(Date.now() / 1000)
    const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(`{"sub":"x","exp":${now + 60}}`).toString('base64url')}.`
    const { privateKey } = await generateKeyPair('ES256')
    const tokens = [
      ...['', 'x', 'a.b.c', none, 'x'.repeat(9000)],
      await sign({ sub: 'x' }, Buffer.alloc(32, 8)),
      await sign({ sub: 'x' }, Buffer.alloc(64, 7), 'HS512'),
      await sign({ sub: 'x' }, privateKey, 'ES256'),
      await sign({ sub: 'x', exp: now - 1 }),
      await sign({ sub: 'x', exp: undefined }),
      ...(await Promise.all([undefined, '', 'x'.repeat(256), 'a\0b', '\ud800'].map((sub) => sign({ sub })))),
    ]
    for (const token of tokens) await expect(fresh().verify(token)).rejects.toThrow(UnauthenticatedError)
    for (const header of ['Basic eA==', 'Bearer a b']) {
      await expect(fresh().fromHeader(header)).rejects.toThrow(UnauthenticatedError)
    }
    for (const header of [undefined, null]) expect(await fresh().fromHeader(header)).toBeNull()
  })

  test("an identity provider's tokens are checked by its published keys, issuer and audience", async () => {
    const { publicKey, privateKey } = await generateKeyPair('EdDSA')
    const { privateKey: foreign } = await generateKeyPair('EdDSA')
    const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), alg: 'EdDSA' }] })
    const server = createServer((_request, response) =>
      response.setHeader('content-type', 'application/json').end(jwks),
    )
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    try {
      const config = {
        ...house.services.config,
        ...{ auth: 'jwt' as const, authIssuer: 'https://issuer', authAudience: 'parley' },
        authJwksUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`,
      }
      const identity = new Identity(config, house.services.storage, secret)
      const claims = { sub: 'outside', name: 'Olive', iss: 'https://issuer', aud: 'parley' }
      expect((await identity.verify(await sign(claims, privateKey, 'EdDSA'))).user.name).toBe('Olive')
      for (const token of [
        await sign(claims, foreign, 'EdDSA'),
        await sign({ ...claims, iss: 'other' }, privateKey, 'EdDSA'),
        await sign({ ...claims, aud: 'other' }, privateKey, 'EdDSA'),
        await sign(claims),
      ]) {
        await expect(identity.verify(token)).rejects.toThrow(UnauthenticatedError)
      }
    } finally {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  })
})

test('servers that start at once agree on one secret, which only their own user may read', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'parley-secret-'))
  const database = await openTestStorage('sqlite')
  try {
    const config = readConfig({ DATABASE_URL: `sqlite:${join(folder, 'deeper', 'parley.db')}` })
    const secrets = await Promise.all(Array.from({ length: 10 }, () => readSecret(config, database.storage)))
    expect(new Set(secrets.map((found) => Buffer.from(found).toString())).size).toBe(1)
    expect(secrets[0]!.length).toBeGreaterThanOrEqual(32)
    expect((await stat(join(folder, 'deeper', 'auth.secret'))).mode & 0o777).toBe(0o600)
    expect(await readdir(join(folder, 'deeper'))).toEqual(['auth.secret'])
  } finally {
    await database.close()
    await rm(folder, { recursive: true, force: true })
  }
})

test('nodes that share a PostgreSQL database agree on one secret, which is kept there', async () => {
  const database = await openTestStorage('postgres')
  try {
    const config = readConfig({ DATABASE_URL: database.url })
    const secrets = await Promise.all(Array.from({ length: 10 }, () => readSecret(config, database.storage)))
    const [first] = secrets
    expect(new Set(secrets.map((found) => Buffer.from(found).toString())).size).toBe(1)
    expect(first!.length).toBeGreaterThanOrEqual(32)
    expect(await readSecret(config, await database.reopen())).toEqual(first)
    const set = readConfig({ DATABASE_URL: database.url, AUTH_SECRET: 's'.repeat(32) })
    expect(await readSecret(set, database.storage)).toEqual(Buffer.from('s'.repeat(32)))
  } finally {
    await database.close()
  }
})
