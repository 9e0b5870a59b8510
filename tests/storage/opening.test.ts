import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { stat, writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ConfigError } from '../../server/config/configError.ts'
import { openStorage } from '../../server/storage/openStorage.ts'
import { insertUser } from '../support/rows.ts'
import { configFor, openTestStorage, placeFor, storageKinds, type StorageKind } from '../support/storages.ts'

const program = fileURLToPath(new URL('openOnce.ts', import.meta.url))

async function place(kind: StorageKind): Promise<string> {
  const { url, remove } = await placeFor(kind)
  onTestFinished(remove)
  return url
}

const migrations = 'SELECT name FROM mikro_orm_migrations'

describe.each(storageKinds)('opening a database on %s', (kind) => {
  test('what was stored is there after closing and opening it again, and nothing is migrated twice', async () => {
    const database = await openTestStorage(kind)
    onTestFinished(() => database.close())
    const before = await database.storage.read.all(migrations)
    const userId = await insertUser(database.storage, 'Ada')
    const storage = await database.reopen()
    expect(await storage.read.all('SELECT name FROM users WHERE id = ?', [userId])).toEqual([{ name: 'Ada' }])
    expect(await storage.read.all(migrations)).toEqual(before)
    expect(before.length).toBeGreaterThan(0)
  })

  test('check resolves while it is open and rejects once it is closed', async () => {
    const url = await place(kind)
    const storage = await openStorage(configFor(url))
    await expect(storage.check()).resolves.toBeUndefined()
    await storage.close()
    await expect(storage.check()).rejects.toThrow(/not open|after calling end/)
  })
})

test('a new SQLite database, and what lies beside it, can be read by its own user alone', async () => {
  const url = await place('sqlite')
  const storage = await openStorage(configFor(url))
  onTestFinished(() => storage.close())
  await insertUser(storage, 'Ada')
  const path = url.slice('sqlite:'.length)
  for (const file of [path, `${path}-wal`, `${path}-shm`])
    expect([file, ((await stat(file)).mode & 0o777).toString(8)]).toEqual([file, '600'])
})

describe('three servers that start together on one empty PostgreSQL database', () => {
  test('all stand, and its migrations ran once', async () => {
    const url = await place('postgres')
    const children = Array.from({ length: 3 }, () =>
      spawn(process.execPath, [program], {
        env: { ...process.env, DATABASE_URL: url },
        stdio: ['pipe', 'pipe', 'inherit'],
      }),
    )
    const exits = children.map(async (child) => (await once(child, 'exit'))[0] as number)
    onTestFinished(() => children.forEach((child) => child.kill('SIGKILL')))
    const lines = children.map((child) => once(createInterface(child.stdout), 'line'))
    const stood = await Promise.all(
      lines.map((line, index) => Promise.race([line, exits[index]!.then((code) => `exit ${code}`)])),
    )
    expect(stood).toEqual([['[{"count":"0"}]'], ['[{"count":"0"}]'], ['[{"count":"0"}]']])
    for (const child of children) child.stdin.end('go\n')
    expect(await Promise.all(exits)).toEqual([0, 0, 0])

    const storage = await openStorage(configFor(url))
    onTestFinished(() => storage.close())
    const names = (await storage.read.all<{ name: string }>(migrations)).map(({ name }) => name)
    expect(names.length).toBeGreaterThan(0)
    expect(new Set(names).size).toBe(names.length)
  })
})

describe('a SQLite file', () => {
  test('that a server has open is refused to a second one, which is told what to do', async () => {
    const url = await place('sqlite')
    const first = await openStorage(configFor(url))
    const refusal = openStorage(configFor(url))
    await expect(refusal).rejects.toThrow(ConfigError)
    await expect(refusal).rejects.toThrow(/^DATABASE_URL is "sqlite:.*another Parley server.*postgres:\/\//)
    expect(await insertUser(first)).toBeTypeOf('string')
    await first.close()

    const next = await openStorage(configFor(url))
    expect(await next.read.all('SELECT id FROM users')).toHaveLength(1)
    await next.close()
  })

  test('that another process has open is refused too, until that process is killed', async () => {
    const url = await place('sqlite')
    const child = spawn(process.execPath, [program], {
      env: { ...process.env, DATABASE_URL: url },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const exited = once(child, 'exit')
    onTestFinished(() => void child.kill('SIGKILL'))
    await once(createInterface(child.stdout), 'line')
    await expect(openStorage(configFor(url))).rejects.toThrow('DATABASE_URL')
    child.kill('SIGKILL')
    await exited
    const storage = await openStorage(configFor(url))
    expect(await storage.read.all('SELECT id FROM users')).toEqual([])
    await storage.close()
  })

  test('is locked for writing from the beginning of a transaction, since one that only reads first could not write later', async () => {
    const database = await openTestStorage('sqlite')
    onTestFinished(() => database.close())
    const other = new Database(database.url.slice('sqlite:'.length), { timeout: 0 })
    onTestFinished(() => void other.close())
    const meanwhile = await database.storage.transaction(async (tx) => {
      await tx.all('SELECT id FROM users')
      try {
        return other.exec('BEGIN IMMEDIATE')
      } catch (error) {
        return (error as { code: string }).code
      }
    })
    expect(meanwhile).toBe('SQLITE_BUSY')
  })

  test('in a folder that cannot be made is refused by a sentence that names the setting', async () => {
    const url = await place('sqlite')
    const file = url.slice('sqlite:'.length)
    await writeFile(file, 'not a folder')
    await expect(openStorage(configFor(`sqlite:${file}/deep/parley.db`))).rejects.toThrow(
      /^DATABASE_URL is .*folder can't be made/,
    )
  })

  test('that is no database is refused by name, and is not left locked', async () => {
    const url = await place('sqlite')
    await writeFile(url.slice('sqlite:'.length), 'This is a letter to a friend, and no database at all. '.repeat(20))
    await expect(openStorage(configFor(url))).rejects.toThrow(/^DATABASE_URL is .*not a database/)
    await writeFile(url.slice('sqlite:'.length), '')
    const storage = await openStorage(configFor(url))
    expect(await storage.read.all('SELECT id FROM users')).toEqual([])
    await storage.close()
  })

  test('is opened with a write-ahead log, foreign keys and synchronous=FULL', async () => {
    const database = await openTestStorage('sqlite')
    onTestFinished(() => database.close())
    const pragma = (name: string) => database.storage.transaction((tx) => tx.all(`PRAGMA ${name}`))
    expect(await pragma('journal_mode')).toEqual([{ journal_mode: 'wal' }])
    expect(await pragma('foreign_keys')).toEqual([{ foreign_keys: 1 }])
    expect(await pragma('busy_timeout')).toEqual([{ timeout: 5000 }])
    expect(await pragma('synchronous')).toEqual([{ synchronous: 2 }])
    // deltas are written with NORMAL; what comes behind them is not
    await database.storage.appendDeltas([])
    expect(await pragma('synchronous')).toEqual([{ synchronous: 2 }])
    expect(await database.storage.read.all('PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }])
  })
})
