import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startRedis, type RedisServer } from '../../scripts/support/startRedis.ts'
import { openStream } from '../http/eventStream.ts'
import { startApp, signToken, type TestApp } from '../support/app.ts'
import { gql, openSocket, post, signIn, type Person } from '../support/clients.ts'
import { createSession, mutate } from '../support/operations.ts'
import { createDatabase } from '../support/postgres.ts'

/** A second is promised; a busy machine may add to it. */
const soonMs = 5_000
const follow = `subscription ($sessionId: ID!) { sessionEvents(sessionId: $sessionId, after: 999) { __typename } }`

describe('tokens and keys on two nodes', () => {
  let redis: RedisServer
  let nodes: TestApp[] = []
  let drop: () => Promise<void>

  beforeAll(async () => {
    const database = await createDatabase()
    drop = () => database.drop()
    redis = await startRedis()
    const env = { DATABASE_URL: database.url, REDIS_URL: redis.url }
    nodes = await Promise.all([startApp({ env }), startApp({ env })])
  })
  afterAll(async () => {
    for (const node of nodes) await node.stop()
    await redis.stop()
    await drop()
  })

  const statusAt = async (node: number, token: string) =>
    (await post(nodes[node]!, '{ viewer { id } }', {}, { token })).status

  /** Opens a socket and a stream by a token on the other node, ends the token on this one, and says how long that took. */
  async function untilEnded(token: string, sessionId: string, end: () => Promise<unknown>): Promise<number> {
    const socket = await openSocket(nodes[1]!, { token })
    const stream = await openStream(nodes[1]!, { token, query: follow, variables: { sessionId } })
    await stream.next()
    await end()
    const at = performance.now()
    expect((await socket.closed).code).toBe(4403)
    expect(JSON.stringify(await stream.rest())).toContain('UNAUTHENTICATED')
    expect(await statusAt(1, token)).toBe(401)
    return performance.now() - at
  }

  async function guestWithKey(): Promise<{ ada: Person; key: string; keyId: string; sessionId: string }> {
    const ada = await signIn(nodes[0]!)
    const { key, apiKey } = await mutate<{ key: string; apiKey: { id: string } }>(
      nodes[0]!,
      ada,
      'createApiKey',
      { name: 'Elsewhere', scopes: ['READ'] },
      'key apiKey { id }',
    )
    return { ada, key: key!, keyId: apiKey!.id, sessionId: await createSession(nodes[0]!, ada) }
  }
  const revokeKey = (by: Person, id: string) => mutate(nodes[0]!, by, 'revokeApiKey', { id })
  const signOut = (by: Person) => gql(nodes[0]!, 'mutation { signOut { __typename } }', {}, by)

  test('what is revoked on one ends on the other within a second', async () => {
    const { ada, key, keyId, sessionId } = await guestWithKey()
    expect(await untilEnded(key, sessionId, () => revokeKey(ada, keyId))).toBeLessThan(soonMs)
    expect(await untilEnded(ada.token, sessionId, () => signOut(ada))).toBeLessThan(soonMs)
  })

  test('whoever deletes their account on one is out on the other within a second, with keys and all, also while Redis is away', async () => {
    for (const isAway of [false, true]) {
      const { ada, key, sessionId } = await guestWithKey()
      const byKey = await openSocket(nodes[1]!, { token: key })
      if (isAway) await redis.kill()
      try {
        const remove = () => mutate(nodes[0]!, ada, 'deleteViewer', { name: ada.name })
        const socket = await openSocket(nodes[1]!, { token: ada.token })
        const stream = await openStream(nodes[1]!, { token: ada.token, query: follow, variables: { sessionId } })
        await stream.next()
        expect(await remove()).toMatchObject({ __typename: 'DeleteViewerSuccess' })
        const at = performance.now()
        expect([(await socket.closed).code, (await byKey.closed).code]).toEqual([4403, 4403])
        await stream.rest()
        expect(performance.now() - at).toBeLessThan(soonMs)
        for (const token of [ada.token, key])
          expect([await statusAt(0, token), await statusAt(1, token)]).toEqual([401, 401])
      } finally {
        if (isAway) await redis.start()
      }
    }
  })

  test('so it is while Redis is away', async () => {
    const { ada, key, keyId, sessionId } = await guestWithKey()
    await redis.kill()
    try {
      expect(await untilEnded(key, sessionId, () => revokeKey(ada, keyId))).toBeLessThan(soonMs)
      expect(await untilEnded(ada.token, sessionId, () => signOut(ada))).toBeLessThan(soonMs)
    } finally {
      await redis.start()
    }
  })

  test('of many that sign out at once on both none is missed, and a node that starts later knows them all', async () => {
    const tokens = await Promise.all(Array.from({ length: 30 }, (_, n) => signToken({ sub: `leaver ${n}` })))
    for (const token of tokens) expect([await statusAt(0, token), await statusAt(1, token)]).toEqual([200, 200])
    await redis.kill()
    try {
      await Promise.all(
        tokens.map((token, n) => gql(nodes[n % 2]!, 'mutation { signOut { __typename } }', {}, { token })),
      )
      for (const token of tokens)
        for (const node of [0, 1]) await expect.poll(() => statusAt(node, token), { timeout: soonMs }).toBe(401)
    } finally {
      await redis.start()
    }
    const later = await startApp({ env: { DATABASE_URL: nodes[0]!.services.config.databaseUrl } })
    try {
      for (const token of tokens) expect((await post(later, '{ viewer { id } }', {}, { token })).status).toBe(401)
    } finally {
      await later.stop()
    }
  })
})
