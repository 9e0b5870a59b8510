import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, onTestFinished, test } from 'vitest'
import { MemoryBus } from '../../server/bus/memoryBus.ts'
import { storedText } from '../../server/generation/prompt.ts'
import type { Job } from '../../server/generation/run.ts'
import { readEvents, readLog } from '../../server/log/read.ts'
import { SessionLog } from '../../server/log/sessionLog.ts'
import { openStorage } from '../../server/storage/openStorage.ts'
import type { Storage } from '../../server/storage/storage.ts'
import type { Topics } from '../../server/topics.ts'
import { testRandom } from '../support/random.ts'
import { deltaRow, insertGeneration, insertMessage, insertSession } from '../support/rows.ts'
import { configFor, openTestStorage } from '../support/storages.ts'

async function openJobs(count: number) {
  const opened = await openTestStorage('sqlite')
  onTestFinished(() => opened.close())
  const { storage } = opened
  const log = new SessionLog(storage, new MemoryBus<Topics>())
  const jobs: Job[] = []
  for (let n = 0; n < count; n++) jobs.push(await insertGeneration(storage, log, await insertSession(storage)))
  /** Beside the server's own connections, which know more than the file. */
  const file = new Database(opened.url.slice('sqlite:'.length))
  onTestFinished(() => void file.close())
  return { opened, storage, log, jobs, file }
}

const say = (storage: Storage, job: Job, textOffset: number, text: string) =>
  storage.appendDeltas([deltaRow(job, { textOffset, text })])

const rowsOf = (file: Database.Database, table: string): number =>
  file.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number

async function textOf(storage: Storage, job: Job): Promise<string> {
  const [row] = await storage.read.all<{ content: string }>(
    `SELECT ${storedText(storage)} AS content FROM messages WHERE id = ?`,
    [job.messageId],
  )
  return row!.content
}

test('Deltas are read the same wherever they are: in the journal, in the log, or some here and some there', async () => {
  const { storage, log, jobs } = await openJobs(3)
  const random = testRandom()
  const texts = jobs.map(() => '')
  for (let n = 0; n < 300; n++) {
    const index = random.int(0, jobs.length - 1)
    const job = jobs[index]!
    const action = random.int(0, 9)
    if (action === 0) await storage.settleDeltas(job.logId)
    else if (action === 1) await insertMessage(storage, log, { ...job, ownerId: job.userId })
    else {
      const text = ` ${n}漢😀`
      await say(storage, job, texts[index]!.length, text)
      texts[index] += text
    }
    const { lastSeq } = (await readLog(storage, job.sessionId))!
    const after = random.int(0, lastSeq)
    const events = await readEvents(storage, job, after)
    expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: lastSeq - after }, (_, i) => after + 1 + i))
    expect(await textOf(storage, job)).toBe(texts[index])
  }
})

test('A batch of events ends where it should, in whichever place its deltas are', async () => {
  const { storage, jobs } = await openJobs(1)
  const [job] = jobs as [Job]
  const { lastSeq } = (await readLog(storage, job.sessionId))!
  for (let n = 0; n < 4; n++) await say(storage, job, n, 'x')
  await storage.settleDeltas(job.logId)
  for (let n = 4; n < 8; n++) await say(storage, job, n, 'x')
  for (let limit = 1; limit <= 8; limit++)
    expect((await storage.readEvents(job.logId, lastSeq, limit)).map(({ textOffset }) => textOffset)).toEqual(
      Array.from({ length: limit }, (_, n) => n),
    )
})

test('Deltas move into the log by themselves, and the journal is empty then', async () => {
  const { storage, jobs, file } = await openJobs(2)
  for (let n = 0; n < 100; n++) await say(storage, jobs[n % 2]!, Math.floor(n / 2), 'x')
  const before = rowsOf(file, 'session_events')
  expect(rowsOf(file, 'journaled_deltas')).toBe(100)
  await expect.poll(() => rowsOf(file, 'delta_journal'), { timeout: 20_000 }).toBe(0)
  expect(rowsOf(file, 'session_events')).toBe(before + 100)
  for (const job of jobs) expect(await textOf(storage, job)).toBe('x'.repeat(50))
})

test('A log that cannot be written yet stays readable, and is settled once it can be', async () => {
  const { storage, jobs, file } = await openJobs(1)
  const [job] = jobs as [Job]
  file.exec(`CREATE TRIGGER full BEFORE INSERT ON session_events BEGIN SELECT RAISE(ABORT, 'the disk is full'); END`)
  await say(storage, job, 0, 'kept')
  await expect(storage.settleDeltas(job.logId)).rejects.toThrow('the disk is full')
  await say(storage, job, 4, ' whole')
  expect(await textOf(storage, job)).toBe('kept whole')
  file.exec('DROP TRIGGER full')
  await expect.poll(() => rowsOf(file, 'delta_journal'), { timeout: 20_000 }).toBe(0)
  expect(await textOf(storage, job)).toBe('kept whole')
})

test('What a killed server had in its journal is in the log when the next one opens the database', async () => {
  const { opened, storage, jobs } = await openJobs(2)
  const [one, two] = jobs as [Job, Job]
  const text = `"quoted" \\ \u2028 漢😀\u0001`
  await say(storage, one, 0, 'settled')
  await storage.settleDeltas(one.logId)
  await say(storage, one, 7, text)
  await say(storage, two, 0, text)
  // as the files are found after a kill: nothing of the memory is in them
  const folder = await mkdtemp(join(tmpdir(), 'parley-test-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const path = opened.url.slice('sqlite:'.length)
  for (const suffix of ['', '-wal']) await copyFile(`${path}${suffix}`, join(folder, `parley.db${suffix}`))
  const next = await openStorage(configFor(`sqlite:${join(folder, 'parley.db')}`))
  onTestFinished(() => next.close())
  expect(await next.read.all('SELECT id FROM delta_journal')).toEqual([])
  for (const job of [one, two]) {
    expect(await readEvents(next, job, 0)).toEqual(await readEvents(storage, job, 0))
    expect(await textOf(next, job)).toBe(await textOf(storage, job))
  }
  expect(await textOf(next, one)).toBe(`settled${text}`)
})

test('The deltas of a session that was deleted are gone with it, and hold up nobody', async () => {
  const { storage, jobs, file } = await openJobs(2)
  const [gone, left] = jobs as [Job, Job]
  await storage.appendDeltas([
    deltaRow(gone, { textOffset: 0, text: 'a' }),
    deltaRow(left, { textOffset: 0, text: 'b' }),
  ])
  await storage.transaction((tx) => tx.run('DELETE FROM sessions WHERE id = ?', [gone.sessionId]))
  expect(rowsOf(file, 'journaled_deltas')).toBe(1)
  await expect.poll(() => rowsOf(file, 'delta_journal'), { timeout: 20_000 }).toBe(0)
  expect(file.pragma('foreign_key_check')).toEqual([])
  expect(await textOf(storage, left)).toBe('b')
})

test('A database that was closed has an empty journal', async () => {
  const { opened, storage, jobs, file } = await openJobs(1)
  await say(storage, jobs[0]!, 0, 'all of it')
  const next = await opened.reopen()
  expect(rowsOf(file, 'delta_journal')).toBe(0)
  expect(await textOf(next, jobs[0]!)).toBe('all of it')
})
