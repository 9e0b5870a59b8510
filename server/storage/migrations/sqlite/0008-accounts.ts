import { Migration } from '@mikro-orm/migrations'

/** A name of one's own wins over that of the token; tokens from before an account was deleted are good for nothing. */
export class Accounts extends Migration {
  override up(): void {
    this.addSql(
      `ALTER TABLE users ADD COLUMN is_name_chosen INTEGER NOT NULL DEFAULT 0 CHECK (is_name_chosen IN (0, 1))`,
    )
    this.addSql(`CREATE TABLE deleted_accounts (
      subject_hash TEXT NOT NULL PRIMARY KEY CHECK (length(subject_hash) = 64),
      user_id TEXT NOT NULL UNIQUE REFERENCES users (id),
      deleted_at INTEGER NOT NULL
    ) WITHOUT ROWID`)
  }
}
