import type Database from 'better-sqlite3'
import type { DeltaRow, StoredEvent } from './storage.ts'

/** Does its work while no transaction is open on another connection. */
type Exclusively = <T>(work: () => T) => Promise<T>

/** A delta as it stands in the journal; the view `journaled_deltas` reads it back. */
type JournaledDelta = [
  logId: number,
  seq: number,
  messageSeq: number,
  textOffset: number,
  text: string,
  createdAt: number,
]

/** The deltas of one session's log that are not in it yet, oldest first. */
interface Unsettled {
  /** When the first of them was stored, in milliseconds of `performance.now()`, and in which row of the journal. */
  since: number
  journalId: number
  deltas: JournaledDelta[]
}

/** So long a log gathers deltas: at 50 tokens a second 50 share the page of the index that each alone would write. */
const settleAfterMs = 1_000
const settleEveryMs = 50
/** Deltas that are moved at once, and what else their last log has: some milliseconds, in which nothing else goes on. */
const settleAtOnce = 250
/** Rows of the journal that are done with are deleted so many at a time. */
const deleteAtOnce = 64

/**
 * Stores the deltas of a tick together: one row of a journal for all of them, since a row of its own in its session's
 * log makes each delta write a page of the index. Later they are moved there, those of one log at a time. Until then
 * they are also in memory, where they are read; after a crash the journal has them.
 */
export class DeltaJournal {
  readonly #exclusively: Exclusively
  readonly #transaction: Database.Transaction<(work: () => void) => void>
  readonly #countUp: Database.Statement
  readonly #streamMessage: Database.Statement
  readonly #streamGeneration: Database.Statement
  readonly #writeRow: Database.Statement
  readonly #deleteBelow: Database.Statement
  readonly #deleteAll: Database.Statement
  readonly #logExists: Database.Statement
  readonly #insertDelta: Database.Statement
  /** By log, the one that has waited longest first. */
  readonly #unsettled = new Map<number, Unsettled>()
  #deletedBelow = 0
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  /** @param database a connection of its own, to a database whose journal is empty */
  constructor(database: Database.Database, exclusively: Exclusively) {
    this.#exclusively = exclusively
    this.#transaction = database.transaction((work) => work())
    this.#countUp = database
      .prepare(
        `UPDATE session_logs SET last_seq = last_seq + 1 WHERE log_id = ?
           AND EXISTS (SELECT 1 FROM generations WHERE id = ? AND fence = ? AND ended_at IS NULL) RETURNING last_seq`,
      )
      .pluck()
    this.#streamMessage = database.prepare(`UPDATE messages SET status = 'STREAMING' WHERE id = ?`)
    this.#streamGeneration = database.prepare(
      `UPDATE generations SET status = 'STREAMING', time_to_first_token_ms = ? WHERE id = ?`,
    )
    this.#writeRow = database.prepare('INSERT INTO delta_journal (deltas) VALUES (?)')
    this.#deleteBelow = database.prepare('DELETE FROM delta_journal WHERE id < ?')
    this.#deleteAll = database.prepare('DELETE FROM delta_journal')
    this.#logExists = database.prepare('SELECT 1 FROM session_logs WHERE log_id = ?')
    this.#insertDelta = database.prepare(
      `INSERT INTO session_events (log_id, seq, kind, message_seq, text_offset, data, created_at) VALUES (?, ?, 0, ?, ?, ?, ?)`,
    )
  }

  /** As `Storage.appendDeltas`. */
  append(rows: readonly DeltaRow[]): Promise<number[]> {
    return this.#exclusively(() => {
      const deltas: JournaledDelta[] = []
      let journalId = 0
      let seqs: number[] = []
      this.#transaction.immediate(() => {
        const now = Date.now()
        seqs = rows.map((row) => this.#count(row, now, deltas))
        if (deltas.length > 0) journalId = Number(this.#writeRow.run(JSON.stringify(deltas)).lastInsertRowid)
      })
      for (const delta of deltas) this.#keep(delta, journalId)
      this.#settleSoon()
      return seqs
    })
  }

  /** Moves the deltas of one log there. */
  settle(logId: number): Promise<void> {
    return this.#unsettled.has(logId) ? this.#exclusively(() => this.#settleAll([logId])) : Promise.resolve()
  }

  /** Moves everything into the logs where it can: not while a transaction is open on another connection. */
  close(isElsewhereOpen: boolean): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    if (isElsewhereOpen) return
    try {
      this.#settleAll([...this.#unsettled.keys()])
    } catch {
      // whoever opens the database next finds them in the journal
    }
  }

  /** Deltas of a log beyond `after` that are not in it yet, oldest first. */
  beyond(logId: number, after: number): StoredEvent[] {
    const found: StoredEvent[] = []
    for (const [, seq, messageSeq, textOffset, data, createdAt] of this.#unsettled.get(logId)?.deltas ?? [])
      if (seq > after) found.push({ seq, kind: 0, subjectId: null, messageSeq, textOffset, data, createdAt })
    return found
  }

  /** The text of a message beyond `after` that is not in the log yet. */
  text(logId: number, messageSeq: number, after: number): string {
    let found = ''
    for (const [, seq, of, , text] of this.#unsettled.get(logId)?.deltas ?? [])
      if (of === messageSeq && seq > after) found += text
    return found
  }

  /** Position of a message's newest delta that is not in the log yet. */
  lastSeq(logId: number, messageSeq: number): number | null {
    return this.#unsettled.get(logId)?.deltas.findLast(([, , of]) => of === messageSeq)?.[1] ?? null
  }

  has(logId: number): boolean {
    return this.#unsettled.has(logId)
  }

  #count(row: DeltaRow, now: number, deltas: JournaledDelta[]): number {
    // said now and not when it is settled
    if (row.textOffset < 0) throw new RangeError(`text_offset ${row.textOffset} violates a constraint`)
    const seq = this.#countUp.get(row.logId, row.generationId, row.fence) as number | undefined
    if (seq === undefined) return 0
    deltas.push([row.logId, seq, row.messageSeq, row.textOffset, row.text, now])
    if (row.timeToFirstTokenMs !== null) {
      this.#streamMessage.run(row.messageId)
      this.#streamGeneration.run(row.timeToFirstTokenMs, row.generationId)
    }
    return seq
  }

  #keep(delta: JournaledDelta, journalId: number): void {
    const [logId] = delta
    const unsettled = this.#unsettled.get(logId)
    if (unsettled) unsettled.deltas.push(delta)
    else this.#unsettled.set(logId, { since: performance.now(), journalId, deltas: [delta] })
  }

  #settleSoon(waitMs = settleEveryMs): void {
    if (this.#timer || this.#isClosed || this.#unsettled.size === 0) return
    this.#timer = setTimeout(() => {
      void this.#exclusively(() => this.#settleSome())
        .then(
          (isDone) => (isDone ? settleEveryMs : 1),
          // they stay where they are, and are tried again
          () => settleAfterMs,
        )
        .then((nextMs) => {
          this.#timer = undefined
          this.#settleSoon(nextMs)
        })
    }, waitMs).unref()
  }

  /**
   * Moves the deltas of the logs that have waited long enough, oldest first.
   * @returns whether these were all
   */
  #settleSome(): boolean {
    const until = performance.now() - settleAfterMs
    const logIds: number[] = []
    let count = 0
    let isDone = true
    for (const [logId, { since, deltas }] of this.#unsettled) {
      if (since > until) break
      isDone = count < settleAtOnce
      if (!isDone) break
      logIds.push(logId)
      count += deltas.length
    }
    this.#settleAll(logIds)
    return isDone
  }

  #settleAll(logIds: readonly number[]): void {
    if (logIds.length === 0) return
    this.#transaction.immediate(() => {
      for (const logId of logIds) this.#settleLog(logId)
      this.#deleteDone(logIds)
    })
    for (const logId of logIds) this.#unsettled.delete(logId)
  }

  #settleLog(logId: number): void {
    const unsettled = this.#unsettled.get(logId)
    // nobody reads the log of a session that was deleted meanwhile
    if (!unsettled || this.#logExists.get(logId) === undefined) return
    for (const delta of unsettled.deltas) this.#insertDelta.run(delta)
  }

  /** Deletes what the journal has of these logs and no other needs. */
  #deleteDone(logIds: readonly number[]): void {
    let firstNeeded: number | undefined
    for (const [logId, { journalId }] of this.#unsettled)
      if (!logIds.includes(logId)) {
        firstNeeded = journalId
        break
      }
    if (firstNeeded === undefined) {
      this.#deleteAll.run()
      // an empty table counts from the beginning again
      this.#deletedBelow = 0
    } else if (firstNeeded - this.#deletedBelow >= deleteAtOnce) {
      this.#deleteBelow.run(firstNeeded)
      this.#deletedBelow = firstNeeded
    }
  }
}

/** Moves what the journal of a database holds into the logs: after a crash, or in a copy of a database that is in use. */
export function recoverJournal(database: Database.Database): void {
  database.transaction(() => {
    database.exec(`
      INSERT INTO session_events (log_id, seq, kind, subject_id, message_seq, text_offset, data, created_at)
      SELECT log_id, seq, kind, subject_id, message_seq, text_offset, data, created_at FROM journaled_deltas;
      DELETE FROM delta_journal`)
  })()
}
