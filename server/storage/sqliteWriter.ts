import type { MikroORM } from '@mikro-orm/sql'
import type Database from 'better-sqlite3'
import type { Sql, Tx } from './storage.ts'
import { workInside, type Connection } from './transaction.ts'

interface Job {
  /** Does the work and keeps its result; rejects where it fails. */
  perform(connection: Connection): Promise<void>
  committed(): void
  failed(error: unknown): void
}

/** A commit makes all who share it wait: so many at most. */
const maxTogether = 64

/**
 * Runs the transactions of all requests on SQLite's one writing connection. Those that are asked for at the same time
 * are committed together, each undone alone where it fails: waiting for the disk is most of what a small one costs.
 */
export class SqliteWriter {
  readonly #orm: MikroORM
  readonly #database: Database.Database
  readonly #sql: Sql
  readonly #connection: Connection
  readonly #begin: Database.Statement
  readonly #commit: Database.Statement
  readonly #rollback: Database.Statement
  readonly #savepoint: Database.Statement
  readonly #release: Database.Statement
  readonly #rollbackTo: Database.Statement
  #waiting: Job[] = []
  #isScheduled = false

  constructor(orm: MikroORM, database: Database.Database, sql: Sql) {
    this.#orm = orm
    this.#database = database
    this.#sql = sql
    this.#connection = orm.em.getConnection().getClient()
    // a deferred transaction that reads and then writes fails at once where another wrote between
    this.#begin = database.prepare('BEGIN IMMEDIATE')
    this.#commit = database.prepare('COMMIT')
    this.#rollback = database.prepare('ROLLBACK')
    this.#savepoint = database.prepare('SAVEPOINT one')
    this.#release = database.prepare('RELEASE one')
    this.#rollbackTo = database.prepare('ROLLBACK TO one')
  }

  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const callbacks: (() => void)[] = []
    let result: T
    this.#waiting.push({
      perform: async (connection) =>
        void (result = await workInside(this.#orm, connection, this.#sql, callbacks, work)),
      committed() {
        try {
          for (const callback of callbacks) callback()
          resolve(result)
        } catch (error) {
          // the others are stored too, and are still to be told so
          reject(error)
        }
      },
      failed: reject,
    })
    this.#schedule()
    return promise
  }

  /** Keeps every transaction away while `work` writes through another connection to the same file. */
  exclusive<T>(work: () => T): Promise<T> {
    return this.#connection.connection().execute(async () => work())
  }

  /** After what has arrived together is read: its transactions then begin together too. */
  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      const jobs = this.#waiting.splice(0, maxTogether)
      void this.#connection
        .connection()
        .execute((connection) => this.#runTogether(connection, jobs))
        // the database is closed
        .catch((error: unknown) => jobs.forEach((job) => job.failed(error)))
        .then(() => {
          this.#isScheduled = false
          if (this.#waiting.length > 0) this.#schedule()
        })
    })
  }

  /** Never rejects. Nobody is told anything before all is over: what made one fail may only now be there to be read. */
  async #runTogether(connection: Connection, jobs: readonly Job[]): Promise<void> {
    const failures = new Map<Job, unknown>()
    // a savepoint copies every page that is changed behind it
    const isAlone = jobs.length === 1
    try {
      this.#begin.run()
      for (const job of jobs) {
        if (!isAlone) this.#savepoint.run()
        try {
          await job.perform(connection)
        } catch (error) {
          failures.set(job, error)
          // some failures, such as a full disk, have undone everything already
          if (isAlone || !this.#database.inTransaction) throw error
          this.#rollbackTo.run()
        }
        if (!isAlone) this.#release.run()
      }
      this.#commit.run()
    } catch (error) {
      if (this.#database.inTransaction) this.#rollback.run()
      for (const job of jobs) if (!failures.has(job)) failures.set(job, error)
    }
    for (const job of jobs) {
      if (failures.has(job)) job.failed(failures.get(job))
      else job.committed()
    }
  }
}
