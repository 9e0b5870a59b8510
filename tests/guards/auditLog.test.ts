import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { AuditBudget } from '../../server/guards/auditBudget.ts'
import { AuditLog, type AuditNote } from '../../server/guards/auditLog.ts'
import { auditId, firstAuditId, insertAuditRows, pruneAuditRows } from '../../server/guards/auditRows.ts'
import type { Logger } from '../../server/logger.ts'
import type { AuditRow } from '../../server/storage/rows.ts'
import type { Storage } from '../../server/storage/storage.ts'
import { describeOnEach } from '../support/storages.ts'

const config = { auditRetentionDays: 365, auditRefusalsPerMinute: 10 }

const refusal = (address: string, more: Partial<AuditNote> = {}): AuditNote => ({
  ...{ action: 'sendMessage', userId: null, address, requestId: 'r-1', errorCode: 'FORBIDDEN' },
  ...more,
})

function makeLogger(): Logger & { lines: { message: string; fields?: Record<string, unknown> }[] } {
  const lines: { message: string; fields?: Record<string, unknown> }[] = []
  const at = (message: string, fields?: Record<string, unknown>): void => void lines.push({ message, fields })
  return { lines, debug: at, info: at, warn: at, error: at }
}

const entry = (createdAt: Date): AuditRow => ({
  id: firstAuditId(createdAt).slice(0, 14) + `7${randomUUID().slice(15)}`,
  ...{ userId: null, address: null, requestId: null, action: 'old', sessionId: null, subjectId: null },
  ...{ errorCode: null, durationMs: 0, times: 1, createdAt },
})

test('an address is refused so many times a minute one by one, and the rest is counted in one entry', () => {
  const budget = new AuditBudget(10)
  const taken = Array.from({ length: 500 }, () => budget.take(refusal('10.0.0.1'))).filter(Boolean)
  expect(taken).toHaveLength(10)
  expect(budget.take(refusal('10.0.0.2'))).toBe(true)
  expect(budget.renew()).toEqual([
    expect.objectContaining({
      action: 'refusals',
      address: '10.0.0.1',
      errorCode: 'FORBIDDEN',
      times: 490,
      userId: null,
    }),
  ])
  expect(budget.take(refusal('10.0.0.1'))).toBe(true)
  expect(budget.renew()).toEqual([])
})

test('a flood from very many addresses is bounded as a whole, in entries and in memory', () => {
  const budget = new AuditBudget(10)
  let taken = 0
  for (let n = 0; n < 100_000; n++) if (budget.take(refusal(`2001:db8::${n.toString(16)}`))) taken++
  expect(taken).toBe(500)
  const summaries = budget.renew()
  expect(summaries.length).toBeLessThanOrEqual(2_001)
  expect(taken + summaries.reduce((sum, { times }) => sum + times!, 0)).toBe(100_000)
})

test('of somebody who types there is an entry a minute, and one that says how often more', () => {
  const budget = new AuditBudget(10)
  const typing = refusal('a', { action: 'setTyping', userId: 'ada', sessionId: 's', errorCode: null })
  const taken = Array.from({ length: 30 }, () => budget.take(typing)).filter(Boolean)
  expect(taken).toHaveLength(1)
  expect(budget.take({ ...typing, sessionId: 'other' })).toBe(true)
  expect(budget.renew()).toEqual([{ ...typing, requestId: null, times: 29 }])
})

test('the id of an entry holds its time, to the millisecond', () => {
  const { id, createdAt } = auditId()
  expect(Math.abs(Date.now() - createdAt.getTime())).toBeLessThan(60_000)
  expect(id >= firstAuditId(createdAt)).toBe(true)
  expect(id < firstAuditId(new Date(createdAt.getTime() + 1))).toBe(true)
})

describeOnEach('the audit log', (database) => {
  let logger: ReturnType<typeof makeLogger>
  const stored = () =>
    database.storage.read.all<{ action: string; times: number }>(`SELECT * FROM audit_entries ORDER BY id`)

  beforeEach(() => {
    logger = makeLogger()
  })
  afterEach(() => database.storage.transaction((tx) => tx.run(`DELETE FROM audit_entries`)))

  test('stores what was noted some at a time, and everything when it stops', async () => {
    const audit = new AuditLog(database.storage, logger, config, { flushMs: 3_600_000 })
    for (let n = 0; n < 75; n++) audit.note(refusal(`10.0.0.${n}`))
    expect(await stored()).toHaveLength(0)
    await audit.flush()
    expect(await stored()).toHaveLength(75)
    for (let n = 0; n < 40; n++) audit.note(refusal('10.0.1.1'))
    await audit.stop()
    const rows = await stored()
    expect(rows).toHaveLength(75 + 10 + 1)
    expect(rows.filter(({ action }) => action === 'refusals')).toMatchObject([{ times: 30 }])
    expect(audit.waiting).toBe(0)
  })

  test('stores by itself after a moment', async () => {
    const audit = new AuditLog(database.storage, logger, config, { flushMs: 1 })
    audit.note(refusal('10.0.0.1'))
    await expect.poll(stored).toHaveLength(1)
    await audit.stop()
  })

  test('keeps so many while the database is away, says how many it dropped, and stores none twice', async () => {
    let isAway = true
    let writes = 0
    const storage: Storage = {
      ...database.storage,
      async transaction(work) {
        writes++
        if (isAway) {
          // committed, but the answer was lost: the hardest case
          if (writes === 1) await database.storage.transaction(work)
          throw new Error('away')
        }
        return database.storage.transaction(work)
      },
    }
    const audit = new AuditLog(storage, logger, config, { flushMs: 3_600_000, maxWaiting: 20 })
    for (let n = 0; n < 50; n++) audit.note(refusal(`10.0.0.${n}`))
    await audit.flush()
    expect(audit.waiting).toBe(20)
    isAway = false
    await audit.stop()
    expect(await stored()).toHaveLength(20)
    expect(logger.lines).toContainEqual({
      message: 'audit entries were dropped: more came than the database took',
      fields: { dropped: 30 },
    })
  })

  test('deletes what is older than it is kept, in batches, and nothing else', async () => {
    const day = 86_400_000
    const old = Array.from({ length: 2_500 }, (_, n) => entry(new Date(Date.now() - 366 * day - n)))
    const kept = Array.from({ length: 30 }, (_, n) => entry(new Date(Date.now() - 364 * day - n)))
    await insertAuditRows(database.storage, [...old, ...kept])
    expect(await stored()).toHaveLength(2_530)
    const signal = new AbortController().signal
    expect(await pruneAuditRows(database.storage, new Date(Date.now() - 365 * day), signal)).toBe(2_500)
    expect(await stored()).toHaveLength(30)
  })

  test('keeps everything for ever where it is told 0 days, and deletes at its start otherwise', async () => {
    await insertAuditRows(database.storage, [entry(new Date('2020-01-01'))])
    const forEver = new AuditLog(database.storage, logger, { ...config, auditRetentionDays: 0 })
    forEver.start()
    await forEver.stop()
    expect(await stored()).toHaveLength(1)
    const aYear = new AuditLog(database.storage, logger, config)
    aYear.start()
    await expect.poll(stored).toHaveLength(0)
    await aYear.stop()
  })
})
