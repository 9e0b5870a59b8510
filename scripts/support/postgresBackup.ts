import { createReadStream, createWriteStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import pg from 'pg'
import { withoutPassword, type Config } from '../../server/config/config.ts'
import { ConfigError } from '../../server/config/configError.ts'
import { makeNewFile } from './newFile.ts'

/**
 * A back-up is gzipped lines of JSON: a header, for each table its name and then its rows as PostgreSQL writes a row as
 * text, the sequences, and a last line that counts the rows, without which the file is not whole.
 */
interface Header {
  format: 'parley-postgres'
  takenAt: string
  /** The schema that the rows are of. */
  migrations: string[]
}
type Line = Header | { table: string } | string | { sequences: Record<string, string> } | { rows: number }

const migrationsTable = 'mikro_orm_migrations'
const batchRows = 500
const batchCharacters = 4_000_000

/** Reads every table in one snapshot, which holds no writer up, into a new file. */
export async function backupPostgres(url: string, file: string): Promise<void> {
  await withClient(url, (client) =>
    makeNewFile(file, async (unfinished) => {
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
      if (!(await tablesOf(client)).includes(migrationsTable))
        throw new ConfigError(`DATABASE_URL is "${withoutPassword(url)}", which holds no data of Parley.`)
      await pipeline(Readable.from(readLines(client)), createGzip(), createWriteStream(unfinished))
    }),
  )
}

async function* readLines(client: pg.Client): AsyncGenerator<string> {
  const line = (value: Line): string => `${JSON.stringify(value)}\n`
  yield line({
    format: 'parley-postgres',
    takenAt: new Date().toISOString(),
    migrations: await migrationsOf(client),
  })
  let rows = 0
  for (const table of await dataTablesOf(client)) {
    yield line({ table })
    await client.query(`DECLARE backup NO SCROLL CURSOR FOR SELECT t::text AS row FROM ${quoted(table)} AS t`)
    for (;;) {
      const batch = await client.query<{ row: string }>(`FETCH ${batchRows} FROM backup`)
      if (batch.rows.length === 0) break
      rows += batch.rows.length
      yield batch.rows.map(({ row }) => line(row)).join('')
    }
    await client.query('CLOSE backup')
  }
  yield line({ sequences: await sequencesOf(client) })
  yield line({ rows })
}

/** @throws ConfigError where the file is no whole back-up, is of another schema, or the database is not empty */
export async function restorePostgres(config: Config, file: string): Promise<void> {
  const url = config.databaseUrl
  await withClient(url, async (client) => {
    const [there] = await tablesOf(client)
    if (there !== undefined)
      throw new ConfigError(
        `DATABASE_URL is "${withoutPassword(url)}", which is not an empty place: the table ${there} is there already.`,
      )
    await readFirst(file)
    try {
      // makes the tables; loaded late, as it is most of the server and nothing else here needs it
      const { openStorage } = await import('../../server/storage/openStorage.ts')
      await (await openStorage(config)).close()
      await client.query('BEGIN')
      await load(client, file)
      await client.query('COMMIT')
    } catch (error) {
      await client.query('ROLLBACK')
      for (const table of await tablesOf(client)) await client.query(`DROP TABLE ${quoted(table)} CASCADE`)
      throw error instanceof pg.DatabaseError ? new ConfigError(`${file} can't be restored: ${error.message}.`) : error
    }
  })
}

async function load(client: pg.Client, file: string): Promise<void> {
  // rows come table by table in no order of their own: what they refer to is checked when all are there
  const keys = await foreignKeysOf(client)
  for (const key of keys) await client.query(`${key} DEFERRABLE INITIALLY DEFERRED`)
  const tables = await dataTablesOf(client)
  let table: string | undefined
  let batch: string[] = []
  let characters = 0
  let rows = 0
  let isWhole = false
  const flush = async (): Promise<void> => {
    if (batch.length > 0)
      await client.query(
        `INSERT INTO ${quoted(table!)} OVERRIDING SYSTEM VALUE SELECT * FROM unnest($1::${quoted(table!)}[])`,
        [batch],
      )
    batch = []
    characters = 0
  }
  for await (const line of readBackup(file)) {
    if (typeof line === 'string') {
      if (table === undefined) throw notWhole(file)
      batch.push(line)
      characters += line.length
      rows++
      if (batch.length >= batchRows || characters >= batchCharacters) await flush()
      continue
    }
    await flush()
    if ('format' in line) {
      const here = await migrationsOf(client)
      if (here.join() !== line.migrations.join())
        throw new ConfigError(
          `${file} is of another version of Parley, with the migrations ${line.migrations.join(', ')} and not ${here.join(', ')}: restore it with that version, then start this one.`,
        )
    } else if ('table' in line) {
      if (!tables.includes(line.table)) throw notWhole(file)
      table = line.table
    } else if ('sequences' in line) {
      for (const [name, value] of Object.entries(line.sequences))
        await client.query('SELECT setval($1::regclass, $2::bigint)', [quoted(name), value])
    } else isWhole = line.rows === rows
  }
  if (!isWhole) throw notWhole(file)
  await client.query('SET CONSTRAINTS ALL IMMEDIATE')
  for (const key of keys) await client.query(`${key} NOT DEFERRABLE`)
}

async function* readBackup(file: string): AsyncGenerator<Line> {
  const source = createReadStream(file)
  const unzipped = createGunzip()
  const copied = pipeline(source, unzipped)
  // awaited below, once all that could be read has been
  copied.catch(() => undefined)
  let isFirst = true
  try {
    for await (const text of createInterface({ input: unzipped, crlfDelay: Infinity })) {
      const line = JSON.parse(text) as Line
      const isHeader =
        typeof line === 'object' && line !== null && 'format' in line && line.format === 'parley-postgres'
      if (isFirst !== isHeader) throw notWhole(file)
      isFirst = false
      yield line
    }
    await copied
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code?.startsWith('Z_')) throw notWhole(file)
    throw error
  } finally {
    source.destroy()
    unzipped.destroy()
  }
}

/** @throws ConfigError where the file does not begin as a back-up does */
async function readFirst(file: string): Promise<void> {
  for await (const _ of readBackup(file)) return
  throw notWhole(file)
}

const notWhole = (file: string): ConfigError =>
  new ConfigError(`${file} is no back-up that Parley made of PostgreSQL, or not the whole of one.`)

const quoted = (name: string): string => pg.escapeIdentifier(name)

async function tablesOf(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT relname::text AS name FROM pg_class
     WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY 1`,
  )
  return rows.map(({ name }) => name)
}

const dataTablesOf = async (client: pg.Client): Promise<string[]> =>
  (await tablesOf(client)).filter((name) => name !== migrationsTable)

async function migrationsOf(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(`SELECT name FROM ${migrationsTable} ORDER BY name`)
  return rows.map(({ name }) => name)
}

/** The last number that each sequence of a column of ours has given, where it has given any. */
async function sequencesOf(client: pg.Client): Promise<Record<string, string>> {
  const { rows } = await client.query<{ name: string; value: string }>(
    `SELECT sequencename::text AS name, last_value::text AS value FROM pg_sequences
     WHERE schemaname = current_schema() AND last_value IS NOT NULL AND sequencename NOT LIKE '${migrationsTable}%'`,
  )
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]))
}

/** The beginning of the statement that changes each. */
async function foreignKeysOf(client: pg.Client): Promise<string[]> {
  const { rows } = await client.query<{ statement: string }>(
    `SELECT format('ALTER TABLE %s ALTER CONSTRAINT %I', conrelid::regclass, conname) AS statement
     FROM pg_constraint WHERE contype = 'f' AND connamespace = current_schema()::regnamespace`,
  )
  return rows.map(({ statement }) => statement)
}

async function withClient(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
    // how values are written as text: the same in the file whatever the server's own settings are
    options: '-c datestyle=ISO -c timezone=UTC -c extra_float_digits=1',
  })
  // a failing query says it as well
  client.on('error', () => undefined)
  try {
    await client.connect()
  } catch (error) {
    throw new ConfigError(
      `DATABASE_URL is "${withoutPassword(url)}", which can't be connected to: ${(error as Error).message}.`,
    )
  }
  try {
    await work(client)
  } finally {
    await client.end()
  }
}
