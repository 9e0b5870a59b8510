import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { Migrator } from '@mikro-orm/migrations'
import { MikroORM } from '@mikro-orm/sqlite'
import Database from 'better-sqlite3'
import { SqliteDialect } from 'kysely'
import { ConfigError } from '../config/configError.ts'
import { DeltaJournal, recoverJournal } from './deltaJournal.ts'
import { entityList } from './entityList.ts'
import { Accounts } from './migrations/sqlite/0008-accounts.ts'
import { Initial } from './migrations/sqlite/0001-initial.ts'
import { Credentials } from './migrations/sqlite/0003-credentials.ts'
import { OwnerDecisions } from './migrations/sqlite/0004-owner-decisions.ts'
import { Audit } from './migrations/sqlite/0005-audit.ts'
import { DeltaJournal as DeltaJournalTable } from './migrations/sqlite/0006-delta-journal.ts'
import { FinishReason } from './migrations/sqlite/0007-finish-reason.ts'
import { SqliteWriter } from './sqliteWriter.ts'
import { eventsSql } from './rows.ts'
import type { Dialect, Param, Row, Sql, Statement, Storage, StoredEvent } from './storage.ts'

const sqliteNow = `CAST(unixepoch('subsec') * 1000 AS INTEGER)`

const dialect: Dialect = {
  name: 'sqlite',
  isIn: (column) => `${column} IN (SELECT value FROM json_each(?))`,
  list: (values) => JSON.stringify(values),
  containsFolded: (column) => `instr(fold(${column}), ?) > 0`,
  concatenate: (column, orderBy) => `group_concat(${column}, '' ORDER BY ${orderBy})`,
  now: sqliteNow,
  later: (ms) => `${sqliteNow} + ${ms}`,
  journaledText: (logId, messageSeq, after) => `journaled_text(${logId}, ${messageSeq}, ${after})`,
  journaledSeq: (logId, messageSeq) => `journaled_seq(${logId}, ${messageSeq})`,
  hasJournaled: (logId) => `has_journaled(${logId})`,
  forUpdate: '',
}

const bind = (params: readonly Param[] = []): (string | number | null)[] =>
  params.map((param) => (param instanceof Date ? param.getTime() : typeof param === 'boolean' ? Number(param) : param))

/** Runs SQL on one connection, each text prepared once. */
class Statements {
  readonly #database: Database.Database
  readonly #prepared = new Map<string, Database.Statement>()

  constructor(database: Database.Database) {
    this.#database = database
  }

  prepare(sql: string): Database.Statement {
    let statement = this.#prepared.get(sql)
    if (!statement) {
      statement = this.#database.prepare(sql)
      this.#prepared.set(sql, statement)
    }
    return statement
  }

  all(sql: string, params?: readonly Param[]): Row[] {
    return this.prepare(sql).all(...bind(params)) as Row[]
  }

  run(sql: string, params?: readonly Param[]): number {
    return this.prepare(sql).run(...bind(params)).changes
  }

  get asSql(): Sql {
    return {
      all: async <R extends object>(sql: string, params?: readonly Param[]) => this.all(sql, params) as R[],
      run: async (sql, params) => this.run(sql, params),
    }
  }
}

/** Held for the life of the process and freed by the kernel with it, whatever ends it. */
function lockFile(path: string): Database.Database {
  let lock: Database.Database
  try {
    lock = new Database(`${path}.lock`, { timeout: 500 })
  } catch (error) {
    throw cannotOpen(path, error)
  }
  try {
    lock.exec('BEGIN EXCLUSIVE')
    return lock
  } catch {
    lock.close()
    throw new ConfigError(
      `DATABASE_URL is "sqlite:${path}", which another Parley server has open; stop it, or use postgres://… for more than one node.`,
    )
  }
}

function connect(path: string, options: Database.Options = {}): Database.Database {
  const database = new Database(path, options)
  database.pragma('busy_timeout = 5000')
  database.pragma('foreign_keys = ON')
  database.function('fold', { deterministic: true }, (value) => String(value ?? '').toLowerCase())
  return database
}

function connectWriter(path: string): Database.Database {
  const database = connect(path)
  try {
    database.pragma('journal_mode = WAL')
    // what users send is acknowledged only once it is on the disk; better-sqlite3 would mean NORMAL by WAL
    database.pragma('synchronous = FULL')
    database.pragma('wal_autocheckpoint = 10000')
    database.pragma('cache_size = -65536')
    // a savepoint's copies would be written to a file
    database.pragma('temp_store = MEMORY')
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/** The functions of the dialect. */
function addJournal(connection: Database.Database, journal: DeltaJournal): void {
  connection.function('journaled_text', (logId, messageSeq, after) =>
    journal.text(logId as number, messageSeq as number, after as number),
  )
  connection.function('journaled_seq', (logId, messageSeq) => journal.lastSeq(logId as number, messageSeq as number))
  connection.function('has_journaled', (logId) => Number(journal.has(logId as number)))
}

const cannotOpen = (path: string, error: unknown): ConfigError =>
  new ConfigError(`DATABASE_URL is "sqlite:${path}", which can't be opened: ${(error as Error).message}.`)

/**
 * Opens (and makes, and migrates) the database in a file.
 * @throws ConfigError where another server has it open, or the file or its folder can't be used
 */
export async function openSqlite(url: string): Promise<Storage> {
  const path = resolve(url.slice('sqlite:'.length))
  try {
    mkdirSync(dirname(path), { recursive: true })
  } catch (error) {
    throw new ConfigError(`DATABASE_URL is "${url}", but its folder can't be made: ${(error as Error).message}.`)
  }
  const lock = lockFile(path)
  let database: Database.Database
  try {
    // what people write is for the server's own user alone; what SQLite puts beside the file is as readable as the file
    if (!existsSync(path)) closeSync(openSync(path, 'a', 0o600))
    database = connectWriter(path)
  } catch (error) {
    lock.close()
    throw cannotOpen(path, error)
  }

  const orm = await MikroORM.init({
    dbName: path,
    driverOptions: new SqliteDialect({ database }),
    entities: entityList,
    extensions: [Migrator],
    migrations: {
      migrationsList: [
        { name: '0001-initial', class: Initial },
        { name: '0003-credentials', class: Credentials },
        { name: '0004-owner-decisions', class: OwnerDecisions },
        { name: '0005-audit', class: Audit },
        { name: '0006-delta-journal', class: DeltaJournalTable },
        { name: '0007-finish-reason', class: FinishReason },
        { name: '0008-accounts', class: Accounts },
      ],
      snapshot: false,
      silent: true,
    },
  })
  await orm.migrator.up()

  const reader = connect(path, { readonly: true })
  reader.pragma('cache_size = -65536')
  // a page that is not in the cache is looked up in the system's own, without a call
  reader.pragma('mmap_size = 1073741824')
  const reads = new Statements(reader)
  const writes = new Statements(database)
  // Deltas may be lost with a power cut, so they need not wait for the disk. A connection of their own, since changing
  // `synchronous` back and forth cost more than storing ten of them.
  const deltas = connect(path)
  deltas.pragma('synchronous = NORMAL')
  deltas.pragma('wal_autocheckpoint = 10000')
  deltas.pragma('cache_size = -65536')
  // the journal looks once for all deltas of a log
  deltas.pragma('foreign_keys = OFF')
  const writer = new SqliteWriter(orm as unknown as Storage['orm'], database, writes.asSql)
  recoverJournal(deltas)
  // a synchronous BEGIN would wait for a transaction that is open on the other connection, and keep it from ever being
  // committed
  const journal = new DeltaJournal(deltas, (work) => writer.exclusive(work))
  for (const connection of [reader, database]) addJournal(connection, journal)

  return {
    dialect,
    orm: orm as unknown as Storage['orm'],
    read: reads.asSql,
    async snapshot(statements: readonly Statement[]) {
      // nothing is awaited between these reads, and only this process writes
      return statements.map(({ sql, params }) => reads.all(sql, params))
    },
    transaction: (work) => writer.transaction(work),
    appendDeltas: (rows) => journal.append(rows),
    settleDeltas: (logId) => journal.settle(logId),
    async readEvents(logId, after, limit) {
      const events = reads.all(eventsSql, [logId, after, limit]) as unknown as StoredEvent[]
      const journaled = journal.beyond(logId, after)
      if (journaled.length === 0) return events
      // those of transactions are among the events at once
      return [...events, ...journaled].sort((one, other) => one.seq - other.seq).slice(0, limit)
    },
    check: async () => void reads.all('SELECT 1'),
    async close() {
      journal.close(database.inTransaction)
      reader.close()
      deltas.close()
      await orm.close(true)
      if (database.open) database.close()
      lock.close()
    },
  }
}
