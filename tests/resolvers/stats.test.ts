import { randomUUIDv7 } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { User } from '../../server/entities/user.ts'
import { ForbiddenError } from '../../server/errors.ts'
import { readLog } from '../../server/log/read.ts'
import { health } from '../../server/resolvers/health.ts'
import { stats } from '../../server/resolvers/stats.ts'
import { insert, type SessionRow } from '../../server/storage/rows.ts'
import { databases, openHouse, type House } from './house.ts'

describe.each(databases)('statistics on %s', (database) => {
  let house: House
  let ada: User
  beforeAll(async () => {
    house = await openHouse(database)
    ada = await house.user('Ada')
  })
  afterAll(() => house.close())

  async function generation(
    session: SessionRow,
    messageId: string,
    of: { status: string; model?: string; ms?: number | null },
  ) {
    const id = randomUUIDv7()
    const now = new Date()
    await house.services.storage.transaction(async (tx) => {
      await insert(tx, 'generations', {
        ...{
          id,
          messageId,
          sessionId: session.id,
          userId: session.ownerId,
          model: of.model ?? 'demo/demo',
          settings: {},
        },
        ...{ status: of.status, attempts: 1, timeToFirstTokenMs: 10, responseTimeMs: of.ms ?? null, ownerNode: id },
        ...{ leaseUntil: now, fence: 1, startedAt: now, endedAt: of.status === 'STREAMING' ? null : now },
      })
      await insert(tx, 'usage_records', {
        ...{ id: randomUUIDv7(), generationId: id, sessionId: session.id, userId: session.ownerId, model: 'demo/demo' },
        ...{ promptTokens: 3, completionTokens: 2, isEstimated: true, createdAt: now },
      })
    })
    return id
  }

  test('nothing yet is zeros and nulls', async () => {
    expect(await stats(house.ctx(ada), {})).toEqual({
      ...{ totalSessions: 0, totalMessages: 0, activeSessions: 0, messagesToday: 0, errorRate: 0 },
      ...{ averageResponseTimeMs: null, p95ResponseTimeMs: null, averageTimeToFirstTokenMs: null },
      ...{ mostUsedProvider: null, mostUsedModel: null },
      usage: { promptTokens: 0, completionTokens: 0, isEstimated: false },
    })
  })

  test('they are over what the viewer may read, and over everything for an admin who asks', async () => {
    const [own, quiet, foreign] = [
      await house.session(ada),
      await house.session(ada),
      await house.session(await house.user()),
    ]
    const [today, yesterday] = await house.messages(own, ada, 2)
    await house.messages(quiet, ada, 1)
    const [other] = await house.messages(foreign, ada, 1)
    await house.services.storage.transaction(async (tx) => {
      await tx.run('UPDATE messages SET created_at = ? WHERE id = ?', [new Date(0), yesterday!])
      await tx.run(
        'UPDATE session_events SET created_at = ? WHERE log_id = (SELECT log_id FROM session_logs WHERE session_id = ?)',
        [new Date(0), quiet.id],
      )
    })
    for (let ms = 1; ms <= 20; ms++) await generation(own, today!, { status: 'COMPLETE', ms })
    for (const status of ['FAILED', 'INTERRUPTED', 'STOPPED', 'STOPPED', 'STREAMING'])
      await generation(own, today!, { status, model: 'local/a/b', ms: 9999 })
    await generation(foreign, other!, { status: 'FAILED' })

    expect(await stats(house.ctx(ada), { scope: 'VIEWER' })).toEqual({
      ...{ totalSessions: 2, totalMessages: 3, activeSessions: 1, messagesToday: 2, errorRate: 2 / 24 },
      ...{ averageResponseTimeMs: 10.5, p95ResponseTimeMs: 19, averageTimeToFirstTokenMs: 10 },
      ...{ mostUsedProvider: 'demo', mostUsedModel: 'demo/demo' },
      usage: { promptTokens: 75, completionTokens: 50, isEstimated: true },
    })
    await expect(stats(house.ctx(ada), { scope: 'ALL' })).rejects.toThrow(ForbiddenError)
    const admin = await house.user('Root', { isAdmin: true })
    expect(await stats(house.ctx(admin), { scope: 'ALL' })).toMatchObject({
      totalSessions: 3,
      totalMessages: 4,
      errorRate: 3 / 25,
    })
  })

  test('a session is active from the first token that is stored, wherever that is', async () => {
    const user = await house.user()
    const session = await house.session(user)
    const [messageId] = await house.messages(session, user, 1)
    const { storage } = house.services
    const generationId = await generation(session, messageId!, { status: 'STREAMING' })
    await storage.transaction((tx) =>
      tx.run(
        'UPDATE session_events SET created_at = ? WHERE log_id = (SELECT log_id FROM session_logs WHERE session_id = ?)',
        [new Date(0), session.id],
      ),
    )
    const active = async (): Promise<number> => (await stats(house.ctx(user), {})).activeSessions
    expect(await active()).toBe(0)
    const { logId, lastSeq } = (await readLog(storage, session.id))!
    await storage.appendDeltas([
      {
        ...{ logId, generationId, fence: 1, messageId: messageId!, messageSeq: lastSeq },
        ...{ textOffset: 0, text: 'Hi', timeToFirstTokenMs: null },
      },
    ])
    expect(await active()).toBe(1)
    await storage.settleDeltas(logId)
    expect(await active()).toBe(1)
  })

  test('health says what answers', async () => {
    expect(await health(house.ctx(null))).toMatchObject({ service: 'parley', status: 'HEALTHY', runningGenerations: 0 })
    const without = (parts: object) => health({ ...house.ctx(null), ...parts })
    const { storage, providers } = house.services
    expect(await without({ providers: { ...providers, models: async () => [] } })).toMatchObject({ status: 'DEGRADED' })
    expect(await without({ storage: { ...storage, check: () => Promise.reject(new Error('gone')) } })).toMatchObject({
      status: 'UNHEALTHY',
    })
  })
})
