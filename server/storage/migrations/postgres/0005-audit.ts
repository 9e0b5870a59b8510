import { Migration } from '@mikro-orm/migrations'

/**
 * What the audit log is asked by. Ids begin with the time, so they stand for it; a list of one person's, one session's or
 * the failed ones begins with the newest.
 */
export class Audit extends Migration {
  override up(): void {
    this.addSql(`ALTER TABLE audit_entries ADD COLUMN request_id text`)
    this.addSql(`ALTER TABLE audit_entries ADD COLUMN times integer NOT NULL DEFAULT 1 CHECK (times > 0)`)
    this.addSql(`DROP INDEX audit_entries_session_id`)
    this.addSql(`CREATE INDEX audit_entries_session_id ON audit_entries (session_id, id) WHERE session_id IS NOT NULL`)
    this.addSql(`CREATE INDEX audit_entries_user_id ON audit_entries (user_id, id) WHERE user_id IS NOT NULL`)
    this.addSql(`CREATE INDEX audit_entries_error_code ON audit_entries (error_code, id) WHERE error_code IS NOT NULL`)
    // whoever asks for messages sent finds them everywhere; the others would be looked for among all of those
    this.addSql(`CREATE INDEX audit_entries_action ON audit_entries (action, id) WHERE action <> 'sendMessage'`)
  }
}
