import { Migration } from '@mikro-orm/migrations'

/** An invitation that is older than what the owner last decided about somebody does not count for them. */
export class OwnerDecisions extends Migration {
  override up(): void {
    this.addSql(`CREATE TABLE owner_decisions (
      session_id uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
      user_id uuid NOT NULL REFERENCES users (id),
      seq integer NOT NULL CHECK (seq > 0),
      PRIMARY KEY (session_id, user_id)
    )`)
    this.addSql(`ALTER TABLE invitations ADD COLUMN seq integer NOT NULL DEFAULT 0 CHECK (seq >= 0)`)
  }
}
