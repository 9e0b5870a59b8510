import type { EntityManager, MikroORM } from '@mikro-orm/sql'

export type Param = string | number | boolean | Date | null
export type Row = Record<string, unknown>

/** SQL with `?` for parameters, in the common part of both dialects or built with `Dialect`. */
export interface Sql {
  all<R extends object = Row>(sql: string, params?: readonly Param[]): Promise<R[]>
  /** @returns the number of rows changed */
  run(sql: string, params?: readonly Param[]): Promise<number>
}

export interface Tx extends Sql {
  /** Entities in this transaction; flushed before it commits. */
  readonly em: EntityManager
  /** Runs once the transaction is committed, before `transaction` returns. Must not throw. */
  afterCommit(callback: () => void): void
}

export interface Statement {
  sql: string
  params: readonly Param[]
}

/** One delta to store, under the lease of its generation. */
export interface DeltaRow {
  logId: number
  generationId: string
  fence: number
  messageId: string
  messageSeq: number
  textOffset: number
  text: string
  /** Set on a generation's first delta, which also turns PENDING into STREAMING. */
  timeToFirstTokenMs: number | null
}

/** An event as its row has it; what it means is the log's business. */
export interface StoredEvent {
  seq: number
  kind: number
  subjectId: string | null
  messageSeq: number | null
  textOffset: number | null
  data: string | null
  createdAt: number | Date
}

/** Where SQLite and PostgreSQL differ in how a thing is said. */
export interface Dialect {
  readonly name: 'sqlite' | 'postgres'
  /** Condition that a column is one of a list, given as the one parameter `list(values)`. */
  isIn(column: string): string
  list(values: readonly (string | number)[]): Param
  /** Condition that a text column contains the parameter, which is in lower case, in any case. */
  containsFolded(column: string): string
  /** Texts of an ordered subquery's rows as one. */
  concatenate(column: string, orderBy: string): string
  /** The time by the database's own clock, which is one for all nodes: now, and so many milliseconds later. */
  readonly now: string
  later(ms: number): string
  /**
   * What is stored of a message's deltas beside the table of events (deltaJournal.ts), as SQL: the text beyond a
   * position, after all that the table has; the newest one's `seq` or NULL; whether there is any of a log.
   */
  journaledText(logId: string, messageSeq: string, after: string): string
  journaledSeq(logId: string, messageSeq: string): string
  hasJournaled(logId: string): string
  /** Clause of a `SELECT` that keeps its rows from being changed until the transaction ends. */
  readonly forUpdate: string
}

/** The database: entities through MikroORM, hot paths as SQL over the same connections. */
export interface Storage {
  readonly dialect: Dialect
  readonly orm: MikroORM
  /** Reads what is committed. */
  readonly read: Sql
  /** Runs reads so that all see the same moment. */
  snapshot(statements: readonly Statement[]): Promise<Row[][]>
  /**
   * Runs `work` in a transaction that excludes other writers of the same rows (on SQLite: all writers).
   * Nothing slow may be awaited inside, and nothing but `tx`.
   */
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>
  /**
   * Appends deltas to their sessions' logs in one transaction.
   * @returns the `seq` of each, 0 where its generation's lease was taken away and nothing was written
   */
  appendDeltas(rows: readonly DeltaRow[]): Promise<number[]>
  /** Puts a log's deltas into the table of events where they are kept elsewhere at first; nothing else changes by it. */
  settleDeltas(logId: number): Promise<void>
  /** Up to `limit` events of a log beyond a position, oldest first, as they are at one moment. */
  readEvents(logId: number, after: number, limit: number): Promise<StoredEvent[]>
  /** Resolves where the database answers. */
  check(): Promise<void>
  close(): Promise<void>
}

export const toDate = (value: unknown): Date => (value instanceof Date ? value : new Date(value as number | string))
export const toDateOrNull = (value: unknown): Date | null => (value == null ? null : toDate(value))
export const toJson = <T>(value: unknown): T =>
  // most metadata is this, on every row of a page
  (value === '{}' ? {} : typeof value === 'string' ? JSON.parse(value) : value) as T

/** True where an error says that a unique constraint was violated, on either database. */
export const isUniqueViolation = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  (error.code === '23505' ||
    String(error.code).startsWith('SQLITE_CONSTRAINT_PRIMARYKEY') ||
    String(error.code).startsWith('SQLITE_CONSTRAINT_UNIQUE'))
