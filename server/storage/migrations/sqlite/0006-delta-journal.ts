import { Migration } from '@mikro-orm/migrations'

/**
 * Where deltas are stored until they are moved into their sessions' logs: all of a tick in one row, as
 * `[[log_id, seq, message_seq, text_offset, data, created_at], …]`. PostgreSQL needs none.
 */
export class DeltaJournal extends Migration {
  override up(): void {
    this.addSql(`CREATE TABLE delta_journal (id INTEGER PRIMARY KEY, deltas TEXT NOT NULL)`)
    // those that are not in the log yet, as they will be there
    this.addSql(`CREATE VIEW journaled_deltas AS
      SELECT journaled.log_id, journaled.seq, 0 AS kind, NULL AS subject_id, journaled.message_seq, journaled.text_offset,
        journaled.data, journaled.created_at
      FROM (
        SELECT value ->> 0 AS log_id, value ->> 1 AS seq, value ->> 2 AS message_seq, value ->> 3 AS text_offset,
          value ->> 4 AS data, value ->> 5 AS created_at
        FROM delta_journal, json_each(delta_journal.deltas)
      ) AS journaled
      JOIN session_logs ON session_logs.log_id = journaled.log_id
      WHERE NOT EXISTS (
        SELECT 1 FROM session_events AS settled WHERE settled.log_id = journaled.log_id AND settled.seq = journaled.seq
      )`)
  }
}
