import Database from 'better-sqlite3'
import { beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { MemoryBus } from '../../server/bus/memoryBus.ts'
import type { Job } from '../../server/generation/run.ts'
import { readEvents, readLog } from '../../server/log/read.ts'
import { SessionLog } from '../../server/log/sessionLog.ts'
import type { Topics } from '../../server/topics.ts'
import { deltaRow, insertGeneration, insertSession } from '../support/rows.ts'
import { describeOnEach, openTestStorage } from '../support/storages.ts'

describeOnEach('storing deltas', (database) => {
  let log: SessionLog

  beforeAll(() => {
    log = new SessionLog(database.storage, new MemoryBus<Topics>())
  })

  const newJob = async (): Promise<Job> =>
    insertGeneration(database.storage, log, await insertSession(database.storage))
  const lastSeq = async ({ sessionId }: Job): Promise<number> => (await readLog(database.storage, sessionId))!.lastSeq
  const stored = async (job: Job) =>
    (await readEvents(database.storage, job, 0))
      .filter(({ kind }) => kind === 'MessageDelta')
      .map(({ seq, messageId, offset, text }) => ({ seq, messageId, offset, text }))
  const state = async ({ generationId, messageId }: Job): Promise<unknown> => {
    const [row] = await database.storage.read.all(
      `SELECT g.status AS generation, m.status AS message, g.time_to_first_token_ms AS "timeToFirstTokenMs"
       FROM generations g JOIN messages m ON m.id = ? WHERE g.id = ?`,
      [messageId, generationId],
    )
    return row
  }
  const raiseFence = (job: Job) =>
    database.storage.transaction((tx) =>
      tx.run('UPDATE generations SET fence = fence + 1 WHERE id = ?', [job.generationId]),
    )

  test('gives each the next seq of its session and stores it as an event', async () => {
    const job = await newJob()
    const start = await lastSeq(job)
    expect(await database.storage.appendDeltas([deltaRow(job, { textOffset: 0, text: 'Hello, 漢😀' })])).toEqual([
      start + 1,
    ])
    expect(await database.storage.appendDeltas([deltaRow(job, { textOffset: 10, text: ' and more' })])).toEqual([
      start + 2,
    ])
    expect(await stored(job)).toEqual([
      { seq: start + 1, messageId: job.messageId, offset: 0, text: 'Hello, 漢😀' },
      { seq: start + 2, messageId: job.messageId, offset: 10, text: ' and more' },
    ])
    expect(await lastSeq(job)).toBe(start + 2)
  })

  test('stores several of one session and of several sessions in their order, and answers in theirs', async () => {
    const [one, two] = [await newJob(), await newJob()]
    const same = await insertGeneration(database.storage, log, { ...one, ownerId: one.userId })
    const [startOne, startTwo] = [await lastSeq(one), await lastSeq(two)]
    const seqs = await database.storage.appendDeltas([
      deltaRow(one, { textOffset: 0, text: 'a' }),
      deltaRow(two, { textOffset: 0, text: 'b' }),
      deltaRow(same, { textOffset: 0, text: 'c' }),
      deltaRow(one, { textOffset: 1, text: 'd' }),
      deltaRow(two, { textOffset: 1, text: 'e' }),
    ])
    expect(seqs).toEqual([startOne + 1, startTwo + 1, startOne + 2, startOne + 3, startTwo + 2])
    expect((await stored(one)).map(({ seq, messageId, text }) => [seq, messageId, text])).toEqual([
      [startOne + 1, one.messageId, 'a'],
      [startOne + 2, same.messageId, 'c'],
      [startOne + 3, one.messageId, 'd'],
    ])
    expect((await stored(two)).map(({ text }) => text)).toEqual(['b', 'e'])
    expect([await lastSeq(one), await lastSeq(two)]).toEqual([startOne + 3, startTwo + 2])
  })

  test('turns PENDING into STREAMING with the first one, and only of those that got it', async () => {
    const [one, two] = [await newJob(), await newJob()]
    await database.storage.appendDeltas([
      deltaRow(one, { textOffset: 0, text: 'a', timeToFirstTokenMs: 123 }),
      deltaRow(two, { textOffset: 0, text: 'b' }),
    ])
    expect(await state(one)).toEqual({ generation: 'STREAMING', message: 'STREAMING', timeToFirstTokenMs: 123 })
    expect(await state(two)).toEqual({ generation: 'PENDING', message: 'PENDING', timeToFirstTokenMs: null })
    await database.storage.appendDeltas([deltaRow(one, { textOffset: 1, text: 'c' })])
    expect(await state(one)).toEqual({ generation: 'STREAMING', message: 'STREAMING', timeToFirstTokenMs: 123 })
  })

  test('writes nothing for a generation whose lease was taken away, and what the others have beside it', async () => {
    const [lost, kept] = [await newJob(), await newJob()]
    const before = [await lastSeq(lost), await state(lost)]
    const start = await lastSeq(kept)
    await raiseFence(lost)
    const seqs = await database.storage.appendDeltas([
      deltaRow(lost, { textOffset: 0, text: 'zombie', timeToFirstTokenMs: 1 }),
      deltaRow(kept, { textOffset: 0, text: 'a', timeToFirstTokenMs: 1 }),
      deltaRow(lost, { textOffset: 6, text: 'zombie' }),
    ])
    expect(seqs).toEqual([0, start + 1, 0])
    expect([await lastSeq(lost), await state(lost)]).toEqual(before)
    expect([await stored(lost), (await stored(kept)).length]).toEqual([[], 1])
  })

  test('writes nothing for a generation that has ended, or is gone with its session', async () => {
    const [ended, gone] = [await newJob(), await newJob()]
    await database.storage.transaction(async (tx) => {
      await tx.run(`UPDATE generations SET status = 'COMPLETE', ended_at = ? WHERE id = ?`, [
        new Date(),
        ended.generationId,
      ])
      await tx.run(`DELETE FROM sessions WHERE id = ?`, [gone.sessionId])
    })
    expect(
      await database.storage.appendDeltas([
        deltaRow(ended, { textOffset: 0, text: 'late' }),
        deltaRow(gone, { textOffset: 0, text: 'late', timeToFirstTokenMs: 1 }),
      ]),
    ).toEqual([0, 0])
    expect(await stored(ended)).toEqual([])
  })

  test('is all or nothing: one that cannot be stored takes the others with it', async () => {
    const [good, bad] = [await newJob(), await newJob()]
    const before = [await lastSeq(good), await state(good)]
    const failing = database.storage.appendDeltas([
      deltaRow(good, { textOffset: 0, text: 'a', timeToFirstTokenMs: 1 }),
      deltaRow(bad, { textOffset: -1, text: 'b' }),
    ])
    await expect(failing).rejects.toThrow(/constraint/i)
    expect([await lastSeq(good), await state(good)]).toEqual(before)
    expect(await stored(good)).toEqual([])
    expect(await database.storage.appendDeltas([deltaRow(good, { textOffset: 0, text: 'a' })])).toEqual([
      (before[0] as number) + 1,
    ])
  })

  test('waits for a transaction that has the same log, and joins on without a hole', async () => {
    const job = await newJob()
    const start = await lastSeq(job)
    let writing: Promise<number[]> | undefined
    await database.storage.transaction(async (tx) => {
      await log.append(tx, job.sessionId, [{ kind: 'SessionUpdated' }])
      writing = database.storage.appendDeltas([deltaRow(job, { textOffset: 0, text: 'a' })])
      await log.append(tx, job.sessionId, [{ kind: 'SessionUpdated' }])
    })
    expect(await writing).toEqual([start + 3])
  })

  test('leaves no hole and no double beside fifty transactions that append to the same logs', async () => {
    const jobs = [await newJob(), await newJob(), await newJob()]
    const starts = await Promise.all(jobs.map(lastSeq))
    await Promise.all(
      Array.from({ length: 50 }, async (_, n) => {
        await database.storage.appendDeltas(
          jobs.map((job) => deltaRow(job, { textOffset: n, text: 'x', timeToFirstTokenMs: n === 0 ? 1 : undefined })),
        )
        await database.storage.transaction((tx) =>
          log.append(tx, jobs[n % 3]!.sessionId, [{ kind: 'SessionUpdated' }, { kind: 'SessionUpdated' }]),
        )
      }),
    )
    for (const [index, job] of jobs.entries()) {
      const seqs = (await readEvents(database.storage, job, starts[index]!)).map(({ seq }) => seq)
      expect(seqs).toEqual(Array.from({ length: seqs.length }, (_, n) => starts[index]! + 1 + n))
      expect(await lastSeq(job)).toBe(seqs.at(-1))
      expect(await stored(job)).toHaveLength(50)
    }
  })
})

test('deltas that a locked SQLite file refuses leave what users send to be written with synchronous=FULL', async () => {
  const { pragma: setPragma } = Database.prototype
  // a locked file is waited for as long as this says, and with it everything else in the process
  const impatient = vi.spyOn(Database.prototype, 'pragma').mockImplementation(function (this: Database.Database, sql) {
    return setPragma.call(this, sql.replace(/^busy_timeout = \d+$/, 'busy_timeout = 1'))
  })
  const { storage, url, close } = await openTestStorage('sqlite')
  impatient.mockRestore()
  onTestFinished(close)
  const log = new SessionLog(storage, new MemoryBus<Topics>())
  const job = await insertGeneration(storage, log, await insertSession(storage))
  const pragma = (sql: string) => storage.transaction((tx) => tx.all(`PRAGMA ${sql}`))
  const other = new Database(url.slice('sqlite:'.length))
  onTestFinished(() => void other.close())
  other.exec('BEGIN IMMEDIATE')
  const append = () => storage.appendDeltas([deltaRow(job, { textOffset: 0, text: 'a' })])
  await expect(append()).rejects.toThrow(/locked/)
  other.exec('ROLLBACK')
  const full = [{ synchronous: 2 }]
  expect(await pragma('synchronous')).toEqual(full)
  expect(await append()).toEqual([expect.any(Number)])
  expect(await pragma('synchronous')).toEqual(full)
})
