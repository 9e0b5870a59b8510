import { Migration } from '@mikro-orm/migrations'

/** An invitation that is older than what the owner last decided about somebody does not count for them. */
export class OwnerDecisions extends Migration {
  override up(): void {
    this.addSql(`CREATE TABLE owner_decisions (
      session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
      user_id TEXT NOT NULL REFERENCES users (id),
      seq INTEGER NOT NULL CHECK (seq > 0),
      PRIMARY KEY (session_id, user_id)
    ) WITHOUT ROWID`)
    this.addSql(`ALTER TABLE invitations ADD COLUMN seq INTEGER NOT NULL DEFAULT 0 CHECK (seq >= 0)`)
  }
}
