import { existsSync } from 'node:fs'
import { copyFile, mkdir, open, readFile, unlink, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import Database from 'better-sqlite3'
import { ConfigError } from '../../server/config/configError.ts'
import { recoverJournal } from '../../server/storage/deltaJournal.ts'
import { makeNewFile } from './newFile.ts'

const magic = 'SQLite format 3\0'

/** Whether a file begins as a SQLite database does. */
export async function isSqliteFile(file: string): Promise<boolean> {
  const handle = await open(file, 'r')
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(magic.length), 0, magic.length, 0)
    return bytesRead === magic.length && buffer.toString('latin1') === magic
  } finally {
    await handle.close()
  }
}

const pathsOf = (url: string) => {
  const database = resolve(url.slice('sqlite:'.length))
  return { database, secret: join(dirname(database), 'auth.secret') }
}

/**
 * Copies the database as it is at one moment, with the secret that lies beside it, into a new file. A server may write
 * meanwhile: a reader of a write-ahead log holds nobody up.
 */
export async function backupSqlite(url: string, file: string): Promise<void> {
  const paths = pathsOf(url)
  if (!existsSync(paths.database))
    throw new ConfigError(`DATABASE_URL is "${url}", and there is no ${paths.database} to back up.`)
  await makeNewFile(file, async (unfinished) => {
    const source = openDatabase(paths.database, `DATABASE_URL is "${url}", which`, true)
    try {
      source.prepare('VACUUM INTO ?').run(unfinished)
    } finally {
      source.close()
    }
    const secret = existsSync(paths.secret) ? await readFile(paths.secret, 'utf8') : undefined
    const copy = new Database(unfinished)
    try {
      // that of an older server has no journal
      if (copy.prepare(`SELECT 1 FROM sqlite_master WHERE name = 'delta_journal'`).get()) recoverJournal(copy)
      if (secret === undefined) return
      copy.exec('CREATE TABLE backup_secret (value TEXT NOT NULL)')
      copy.prepare('INSERT INTO backup_secret VALUES (?)').run(secret)
    } finally {
      copy.close()
    }
  })
}

/** @throws ConfigError where the file is no whole back-up, or there is a database or a secret already */
export async function restoreSqlite(url: string, file: string): Promise<void> {
  const paths = pathsOf(url)
  const inTheWay = [paths.database, `${paths.database}-wal`, `${paths.database}-shm`, paths.secret].find(existsSync)
  if (inTheWay)
    throw new ConfigError(`DATABASE_URL is "${url}", which is not an empty place: ${inTheWay} is there already.`)
  await mkdir(dirname(paths.database), { recursive: true })
  let hasSecret = false
  try {
    await makeNewFile(paths.database, async (unfinished) => {
      await copyFile(file, unfinished)
      const secret = takeSecret(unfinished, file)
      if (secret === undefined) return
      await writeFile(paths.secret, secret, { mode: 0o600, flag: 'wx' })
      hasSecret = true
    })
  } catch (error) {
    if (hasSecret) await unlink(paths.secret)
    throw error
  }
}

/** Checks a copy of a back-up, and takes out of it what does not belong into the database. */
function takeSecret(path: string, file: string): string | undefined {
  const database = openDatabase(path, file)
  try {
    const problems = (database.pragma('integrity_check') as { integrity_check: string }[]).map(
      (row) => row.integrity_check,
    )
    if (problems[0] !== 'ok') throw new ConfigError(`${file} is damaged: ${problems[0]}.`)
    const tables = database.prepare(`SELECT name FROM sqlite_master WHERE type = 'table'`).pluck().all()
    if (!tables.includes('session_events') || !tables.includes('mikro_orm_migrations'))
      throw new ConfigError(`${file} is a SQLite database, but no back-up of Parley.`)
    if (!tables.includes('backup_secret')) return undefined
    const secret = database.prepare('SELECT value FROM backup_secret').pluck().get() as string
    // with what SQLite keeps of deleted rows
    database.pragma('secure_delete = ON')
    database.exec('DROP TABLE backup_secret')
    return secret
  } catch (error) {
    if (error instanceof Database.SqliteError) throw new ConfigError(`${file} is damaged: ${error.message}.`)
    throw error
  } finally {
    database.close()
  }
}

function openDatabase(path: string, name: string, readonly = false): Database.Database {
  try {
    const database = new Database(path, { fileMustExist: true, readonly, timeout: 5_000 })
    // the migrations' functions, which an index may need
    database.function('fold', { deterministic: true }, (value) => String(value ?? '').toLowerCase())
    database.prepare('SELECT count(*) FROM sqlite_master').get()
    return database
  } catch (error) {
    throw new ConfigError(`${name} can't be opened: ${(error as Error).message}.`)
  }
}
