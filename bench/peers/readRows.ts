import Database from 'better-sqlite3'
import { answer } from '../support/answer.ts'

/** Reads a session's events in batches and stringifies each; it sends nothing. */
const database = new Database(process.argv[2]!, { readonly: true })
database.pragma('cache_size = -65536')
const batch = database.prepare(
  `SELECT seq, kind, subject_id AS subjectId, message_seq AS messageSeq, text_offset AS textOffset, data, created_at AS createdAt
   FROM session_events WHERE log_id = ? AND seq > ? ORDER BY seq LIMIT 1000`,
)

const methods = {
  /** Milliseconds for all events of a log. */
  read({ logId }: { logId: number }): { ms: number; events: number; characters: number } {
    const startedAt = performance.now()
    let [after, events, characters] = [0, 0, 0]
    for (let rows = batch.all(logId, after) as { seq: number }[]; rows.length > 0;) {
      for (const row of rows) characters += JSON.stringify(row).length
      events += rows.length
      after = rows.at(-1)!.seq
      rows = batch.all(logId, after) as { seq: number }[]
    }
    return { ms: performance.now() - startedAt, events, characters }
  },
}
export type ReadRows = typeof methods

answer('', methods)
