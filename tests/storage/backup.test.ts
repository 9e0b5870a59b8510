import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { copyFile, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { MemoryBus } from '../../server/bus/memoryBus.ts'
import type { Job } from '../../server/generation/run.ts'
import { readSecret } from '../../server/guards/secret.ts'
import type { SessionEvent } from '../../server/log/event.ts'
import { readEvents } from '../../server/log/read.ts'
import { SessionLog } from '../../server/log/sessionLog.ts'
import { openStorage } from '../../server/storage/openStorage.ts'
import type { Row, Storage } from '../../server/storage/storage.ts'
import type { Topics } from '../../server/topics.ts'
import { deltaRow, insertGeneration, insertSession } from '../support/rows.ts'
import { configFor, describeOnEach, placeFor, type StorageKind } from '../support/storages.ts'

type Command = 'backup' | 'restore'

/** A command as its npm script runs it, in a process of its own. */
async function run(command: Command, url: string, file: string): Promise<{ code: number; output: string }> {
  const program = fileURLToPath(new URL(`../../scripts/${command}.ts`, import.meta.url))
  const child = spawn(process.execPath, [program, file], {
    env: { PATH: process.env.PATH, DATABASE_URL: url },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number]
  return { code, output }
}

async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-backup-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function emptyPlace(kind: StorageKind): Promise<string> {
  const { url, remove } = await placeFor(kind)
  onTestFinished(remove)
  return url
}

/** PostgreSQL has no such check of its own: its constraints were checked as the rows came in. */
async function integrityOf(kind: StorageKind, storage: Storage): Promise<unknown> {
  if (kind === 'sqlite') return (await storage.read.all('PRAGMA integrity_check'))[0]!.integrity_check
  const bad = await storage.read.all(`SELECT conname FROM pg_constraint WHERE NOT convalidated OR condeferrable`)
  return bad.length === 0 ? 'ok' : bad
}

async function allEvents(storage: Storage, job: Job): Promise<SessionEvent[]> {
  const all: SessionEvent[] = []
  for (;;) {
    const next = await readEvents(storage, job, all.length)
    if (next.length === 0) return all
    all.push(...next)
  }
}

/** Appends deltas to the jobs in turn, and keeps their messages' content now and then, until told to stop. */
function writeOn(storage: Storage, jobs: Job[]): { stop(): Promise<number> } {
  let isOver = false
  const written = (async () => {
    const texts = jobs.map(() => '')
    let rounds = 0
    for (; !isOver; rounds++) {
      // SQLite answers within the turn: without this one nothing else would happen
      await delay(2)
      const parts = jobs.map((_, index) => `${rounds}:${index} 漢😀\\"', `)
      const rows = jobs.map((job, index) => deltaRow(job, { textOffset: texts[index]!.length, text: parts[index]! }))
      const seqs = await storage.appendDeltas(rows)
      parts.forEach((part, index) => (texts[index] += part))
      const kept = rounds % jobs.length
      if (rounds % 5 === 0)
        await storage.transaction((tx) =>
          tx.run('UPDATE messages SET content = ?, content_seq = ? WHERE id = ?', [
            texts[kept]!,
            seqs[kept]!,
            jobs[kept]!.messageId,
          ]),
        )
    }
    return rounds
  })()
  written.catch(() => undefined)
  return {
    stop: () => {
      isOver = true
      return written
    },
  }
}

describeOnEach('a back-up', (database) => {
  let jobs: Job[]
  const rowsOf = (storage: Storage, table: string, key: string): Promise<Row[]> =>
    storage.read.all(`SELECT * FROM ${table} ORDER BY ${key}`)

  beforeAll(async () => {
    const log = new SessionLog(database.storage, new MemoryBus<Topics>())
    jobs = []
    for (let count = 0; count < 4; count++)
      jobs.push(await insertGeneration(database.storage, log, await insertSession(database.storage)))
    await readSecret(configFor(database.url), database.storage)
  })

  test('that is taken while a server writes is its data at one moment, and restores', async () => {
    const file = join(await emptyFolder(), 'parley.backup')
    const writer = writeOn(database.storage, jobs)
    const taken = await run('backup', database.url, file)
    const rounds = await writer.stop()
    expect(taken).toEqual({ code: 0, output: expect.stringContaining(`Backed up to ${file}.`) })
    expect(rounds).toBeGreaterThan(5)
    expect((await stat(file)).mode & 0o777).toBe(0o600)

    const place = await emptyPlace(database.kind)
    expect(await run('restore', place, file)).toMatchObject({ code: 0 })
    const restored = await openStorage(configFor(place))
    onTestFinished(() => restored.close())

    expect(await integrityOf(database.kind, restored)).toBe('ok')
    for (const [table, key] of [
      ['users', 'id'],
      ['sessions', 'id'],
      ['participants', 'session_id, user_id'],
      ['mikro_orm_migrations', 'name'],
    ] as const) {
      const named = (rows: Row[]) => (table === 'mikro_orm_migrations' ? rows.map(({ name }) => name) : rows)
      expect(named(await rowsOf(restored, table, key))).toEqual(named(await rowsOf(database.storage, table, key)))
    }
    const counts = []
    for (const job of jobs) {
      const original = await allEvents(database.storage, job)
      const copy = await allEvents(restored, job)
      expect(copy).toEqual(original.slice(0, copy.length))
      const [log] = await restored.read.all('SELECT last_seq FROM session_logs WHERE log_id = ?', [job.logId])
      expect(log).toEqual({ last_seq: copy.length })
      const [message] = await restored.read.all<{ content: string; seq: number }>(
        'SELECT content, content_seq AS seq FROM messages WHERE id = ?',
        [job.messageId],
      )
      const kept = copy.filter(({ kind, seq }) => kind === 'MessageDelta' && seq! <= message!.seq)
      expect(message!.content).toBe(kept.map(({ text }) => text).join(''))
      counts.push(copy.length)
    }
    // all deltas of a round are one transaction
    expect(new Set(counts).size).toBe(1)

    // and it goes on where it was: guests stay signed in, numbers are not given twice
    expect(await readSecret(configFor(place), restored)).toEqual(
      await readSecret(configFor(database.url), database.storage),
    )
    expect((await insertSession(restored)).logId).toBe((await insertSession(database.storage)).logId)
  })

  test('does not replace a file, and leaves none where it fails', async () => {
    const folder = await emptyFolder()
    const file = join(folder, 'letter.txt')
    await writeFile(file, 'Dear Ada')
    const refused = await run('backup', database.url, file)
    expect(refused).toEqual({ code: 1, output: `${file} is there already; a new file is needed.\n` })
    expect(await readFile(file, 'utf8')).toBe('Dear Ada')
    const other = database.kind === 'sqlite' ? `${database.url}.none` : `${database.url}_none`
    const nothing = await run('backup', other, join(folder, 'none.backup'))
    expect(nothing).toEqual({ code: 1, output: expect.stringMatching(/^DATABASE_URL is .*\.\n$/) })
    expect(await readdir(folder)).toEqual(['letter.txt'])
  })

  test('is not restored over data, nor where the file is damaged, cut off or something else', async () => {
    const folder = await emptyFolder()
    const file = join(folder, 'whole.backup')
    await run('backup', database.url, file)
    const before = await rowsOf(database.storage, 'users', 'id')
    expect(await run('restore', database.url, file)).toEqual({
      code: 1,
      output: expect.stringMatching(/^DATABASE_URL is .*not an empty place: .* is there already\.\n$/),
    })
    expect(await rowsOf(database.storage, 'users', 'id')).toEqual(before)

    const place = await emptyPlace(database.kind)
    const { size } = await stat(file)
    const cut = join(folder, 'cut.backup')
    await copyFile(file, cut)
    await truncate(cut, Math.floor(size * 0.6))
    const letter = join(folder, 'letter.txt')
    await writeFile(letter, 'Dear Ada')
    const missing = join(folder, 'missing')
    const empty = join(folder, 'empty')
    await writeFile(empty, '')
    for (const wrong of [cut, letter, missing, empty])
      expect(await run('restore', place, wrong)).toEqual({
        code: 1,
        output: expect.stringMatching(new RegExp(`^${wrong} [^\n]*\\.\n$`)),
      })
    // none of these left anything behind
    expect(await run('restore', place, file)).toMatchObject({ code: 0 })
  })
})

describe('a back-up', () => {
  test('of one kind of database is refused by the other, and so is a SQLite database of something else', async () => {
    const folder = await emptyFolder()
    const [sqlite, postgres] = [await emptyPlace('sqlite'), await emptyPlace('postgres')]
    await (await openStorage(configFor(sqlite))).close()
    await (await openStorage(configFor(postgres))).close()
    const files = { sqlite: join(folder, 'sqlite.backup'), postgres: join(folder, 'postgres.backup') }
    await run('backup', sqlite, files.sqlite)
    await run('backup', postgres, files.postgres)
    const [place, other] = [await emptyPlace('sqlite'), await emptyPlace('postgres')]
    expect((await run('restore', other, files.sqlite)).output).toMatch(/is a back-up of a SQLite database, and/)
    expect((await run('restore', place, files.postgres)).output).toMatch(/is no back-up of a SQLite database, and/)

    const foreign = join(folder, 'foreign.db')
    const database = new Database(foreign)
    database.exec('CREATE TABLE recipes (name TEXT)')
    database.close()
    expect((await run('restore', place, foreign)).output).toMatch(/is a SQLite database, but no back-up of Parley/)
    expect(existsSync(place.slice('sqlite:'.length))).toBe(false)
  })

  test.each(['backup', 'restore'] as const)('is not taken for granted: %s without a file says how', async (command) => {
    expect(await run(command, await emptyPlace('sqlite'), '--help')).toEqual({
      code: 1,
      output: expect.stringContaining(`npm run ${command} -- FILE`),
    })
  })
})
