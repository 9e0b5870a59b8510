import { Migrator } from '@mikro-orm/migrations'
import { MikroORM } from '@mikro-orm/postgresql'
import { CompiledQuery } from 'kysely'
import pg, { type Pool } from 'pg'
import { withoutPassword } from '../config/config.ts'
import { ConfigError } from '../config/configError.ts'
import { orAway } from './databaseAway.ts'
import { entityList } from './entityList.ts'
import { Accounts } from './migrations/postgres/0008-accounts.ts'
import { Initial } from './migrations/postgres/0001-initial.ts'
import { Secrets } from './migrations/postgres/0002-secrets.ts'
import { Credentials } from './migrations/postgres/0003-credentials.ts'
import { OwnerDecisions } from './migrations/postgres/0004-owner-decisions.ts'
import { Audit } from './migrations/postgres/0005-audit.ts'
import { FinishReason } from './migrations/postgres/0006-finish-reason.ts'
import { eventsSql } from './rows.ts'
import type { DeltaRow, Dialect, Param, Row, Sql, Statement, Storage } from './storage.ts'
import { openTransaction } from './transaction.ts'

const dialect: Dialect = {
  name: 'postgres',
  isIn: (column) => `${column} = ANY(?)`,
  // an array literal: PostgreSQL gives it the type of the column
  list: (values) => `{${values.join(',')}}`,
  containsFolded: (column) => `position(? in lower(${column})) > 0`,
  concatenate: (column, orderBy) => `string_agg(${column}, '' ORDER BY ${orderBy})`,
  now: 'now()',
  // `now()` is when the transaction began, which may have waited for locks since
  later: (ms) => `clock_timestamp() + interval '${ms} milliseconds'`,
  journaledText: () => `''`,
  journaledSeq: () => 'NULL',
  hasJournaled: () => 'false',
  forUpdate: 'FOR UPDATE',
}

/** Any fixed number: the advisory lock under which one node migrates. */
const migrationLock = 7_261_543

const transactionAttempts = 4
/** A deadlock or a failed serialization: PostgreSQL rolled the transaction back, and says to try it again. */
const isTransient = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === '40P01' || error.code === '40001')

async function withRetries<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; attempt < transactionAttempts; attempt++)
    try {
      return await work()
    } catch (error) {
      if (!isTransient(error)) throw error
    }
  return work()
}

/**
 * Locks generations before logs, as everyone does who needs both: a lease that is taken away meanwhile is seen. Not for
 * sharing: a first delta changes them too, and of two that share a lock and want more neither can go on.
 */
const appendDeltasSql = `
  WITH input AS (
    SELECT * FROM unnest($1::int[], $2::uuid[], $3::int[], $4::int[], $5::int[], $6::text[])
      WITH ORDINALITY AS input (log_id, generation_id, fence, message_seq, text_offset, data, n)
  ), leased AS (
    SELECT input.* FROM input
      JOIN generations ON generations.id = input.generation_id AND generations.fence = input.fence AND generations.ended_at IS NULL
      ORDER BY generations.id FOR NO KEY UPDATE OF generations
  ), numbered AS (
    SELECT leased.*, row_number() OVER (PARTITION BY log_id ORDER BY n) AS place, count(*) OVER (PARTITION BY log_id) AS places
    FROM leased
  ), locked AS (
    SELECT log_id FROM session_logs WHERE log_id IN (SELECT log_id FROM numbered) ORDER BY log_id FOR UPDATE
  ), counted AS (
    UPDATE session_logs SET last_seq = last_seq + numbered.places
    FROM numbered, locked WHERE numbered.place = 1 AND session_logs.log_id = numbered.log_id AND locked.log_id = numbered.log_id
    RETURNING session_logs.log_id, session_logs.last_seq - numbered.places AS base
  ), inserted AS (
    INSERT INTO session_events (log_id, seq, kind, message_seq, text_offset, data, created_at)
    SELECT log_id, base + place, 0, message_seq, text_offset, data, now() FROM numbered JOIN counted USING (log_id)
  )
  SELECT n::int, (base + place)::int AS seq FROM numbered JOIN counted USING (log_id)`

const appendParams = (rows: readonly DeltaRow[]): unknown[] => [
  rows.map((row) => row.logId),
  rows.map((row) => row.generationId),
  rows.map((row) => row.fence),
  rows.map((row) => row.messageSeq),
  rows.map((row) => row.textOffset),
  rows.map((row) => row.text),
]

/**
 * Lets go of a connection that has not answered in time. Else it would go back to the pool, and whoever got it next would
 * wait behind the same silence.
 */
class Client extends pg.Client {
  // oxlint-disable-next-line typescript/no-explicit-any -- as whichever of its many forms is called
  override query(...args: any[]): any {
    // oxlint-disable-next-line typescript/no-explicit-any
    const result: unknown = (super.query as (...args: any[]) => unknown)(...args)
    if (result instanceof Promise)
      result.catch((error: Error) => {
        if (error.message === 'Query read timeout') void this.end().catch(() => undefined)
      })
    return result
  }
}

/** Nothing slow is awaited in a transaction: who says nothing for so long is gone, or frozen. */
const maxIdleInTransactionMs = 5_000

/** The longest that `check` waits: whoever asks whether the server is well wants to know it now. */
const maxCheckMs = 3_000

const cannotConnect = (url: string, error: unknown): ConfigError =>
  new ConfigError(
    `DATABASE_URL is "${withoutPassword(url)}", which can't be connected to: ${(error as Error).message}.`,
  )

function tellAway(error: unknown): never {
  throw orAway(error)
}

/**
 * Connects to the database and migrates it, one node at a time.
 * @param timeoutMs milliseconds to wait for a connection, and for each answer; 0 for no limit
 * @throws ConfigError where it can't be connected to
 */
export async function openPostgres(url: string, timeoutMs: number): Promise<Storage> {
  const orm = await MikroORM.init({
    clientUrl: url,
    entities: entityList,
    extensions: [Migrator],
    // one that died while nobody used it should be gone before somebody waits for it
    pool: { min: 0, max: 20, idleTimeoutMillis: 2_000 },
    // a connection that is open at one end only would hold up what waits for it, as all deltas of this node, for ever
    driverOptions: {
      Client,
      keepAlive: true,
      connectionTimeoutMillis: timeoutMs,
      query_timeout: timeoutMs || undefined,
      // PostgreSQL does not see that we are gone, and would keep our locks from whoever is to end what we had begun
      idle_in_transaction_session_timeout: Math.min(timeoutMs, maxIdleInTransactionMs) || undefined,
    },
    migrations: {
      migrationsList: [
        { name: '0001-initial', class: Initial },
        { name: '0002-secrets', class: Secrets },
        { name: '0003-credentials', class: Credentials },
        { name: '0004-owner-decisions', class: OwnerDecisions },
        { name: '0005-audit', class: Audit },
        { name: '0006-finish-reason', class: FinishReason },
        { name: '0008-accounts', class: Accounts },
      ],
      snapshot: false,
      silent: true,
    },
  })
  // connects for the first time
  const pool = await (orm.em.getConnection() as unknown as { getNativeClient(): Promise<Pool> })
    .getNativeClient()
    .catch((error: unknown) => {
      throw cannotConnect(url, error)
    })

  const locker = await pool.connect()
  try {
    await locker.query('SELECT pg_advisory_lock($1)', [migrationLock])
    await orm.migrator.up()
  } finally {
    await locker.query('SELECT pg_advisory_unlock($1)', [migrationLock]).catch(() => undefined)
    locker.release()
  }

  const numbered = new Map<string, string>()
  /** `?` becomes `$1`, `$2`, …; our SQL has no other question mark. */
  const number = (sql: string): string => {
    let text = numbered.get(sql)
    if (text === undefined) {
      let count = 0
      text = sql.replaceAll('?', () => `$${++count}`)
      numbered.set(sql, text)
    }
    return text
  }
  type Query = (sql: string, params: readonly unknown[]) => Promise<{ rows: unknown[]; changed: number }>
  const asSql = (query: Query): Sql => ({
    all: async <R extends object>(sql: string, params: readonly Param[] = []) =>
      (await query(number(sql), params)).rows as R[],
    run: async (sql, params = []) => (await query(number(sql), params)).changed,
  })
  let checking: Promise<unknown> | undefined
  const onPool: Query = async (sql, params) => {
    const { rows, rowCount } = await pool.query(sql, [...params])
    return { rows, changed: rowCount ?? 0 }
  }

  const read = asSql((sql, params) => onPool(sql, params).catch(tellAway))
  return {
    dialect,
    orm: orm as unknown as Storage['orm'],
    read,
    snapshot: (statements) => snapshot(statements).catch(tellAway),
    async transaction(work) {
      const once = () =>
        openTransaction(
          orm as unknown as Storage['orm'],
          (transaction) =>
            asSql(async (sql, params) => {
              const result = await transaction.executeQuery(CompiledQuery.raw(sql, [...params]))
              return { rows: result.rows, changed: Number(result.numAffectedRows ?? 0) }
            }),
          work,
        )
      return withRetries(once).catch(tellAway)
    },
    appendDeltas: (rows) => withRetries(() => appendOnce(rows)).catch(tellAway),
    settleDeltas: async () => undefined,
    readEvents: (logId, after, limit) => read.all(eventsSql, [logId, after, limit]),
    check: () => check().catch(tellAway),
    async close() {
      await orm.close(true)
    },
  }

  async function snapshot(statements: readonly Statement[]): Promise<Row[][]> {
    const [only, ...others] = statements
    if (only && others.length === 0) return [(await onPool(number(only.sql), only.params)).rows as Row[]]
    const client = await pool.connect()
    try {
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
      const results: Row[][] = []
      for (const { sql, params } of statements) results.push((await client.query(number(sql), [...params])).rows)
      await client.query('COMMIT')
      client.release()
      return results
    } catch (error) {
      client.release(true)
      throw error
    }
  }

  /** One at a time, however many ask: connections that answer nothing would be taken up by it. */
  async function check(): Promise<void> {
    const limitMs = timeoutMs && Math.min(timeoutMs, maxCheckMs)
    const asked = { text: 'SELECT 1', query_timeout: limitMs || undefined }
    checking ??= pool.query(asked).finally(() => (checking = undefined))
    if (limitMs === 0) return void (await checking)
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error('Query read timeout')), limitMs)
    })
    await Promise.race([checking, late]).finally(() => clearTimeout(timer))
  }

  async function appendOnce(rows: readonly DeltaRow[]): Promise<number[]> {
    const seqs = rows.map(() => 0)
    const fill = (found: { n: number; seq: number }[]) => {
      for (const { n, seq } of found) seqs[n - 1] = seq
    }
    const first = rows.filter((row) => row.timeToFirstTokenMs !== null)
    if (first.length === 0) {
      fill((await pool.query(appendDeltasSql, appendParams(rows))).rows)
      return seqs
    }
    const client = await pool.connect()
    try {
      await client.query('BEGIN')
      fill((await client.query(appendDeltasSql, appendParams(rows))).rows)
      const started = first.filter((row) => seqs[rows.indexOf(row)] !== 0)
      await client.query(
        `UPDATE generations SET status = 'STREAMING', time_to_first_token_ms = started.ms
           FROM unnest($1::uuid[], $2::int[]) AS started (id, ms) WHERE generations.id = started.id`,
        [started.map((row) => row.generationId), started.map((row) => row.timeToFirstTokenMs)],
      )
      await client.query(`UPDATE messages SET status = 'STREAMING' WHERE id = ANY($1)`, [
        started.map((row) => row.messageId),
      ])
      await client.query('COMMIT')
      client.release()
      return seqs
    } catch (error) {
      client.release(true)
      throw error
    }
  }
}
