import { Migration } from '@mikro-orm/migrations'

/** A name of one's own wins over that of the token; tokens from before an account was deleted are good for nothing. */
export class Accounts extends Migration {
  override up(): void {
    this.addSql(`ALTER TABLE users ADD COLUMN is_name_chosen boolean NOT NULL DEFAULT false`)
    this.addSql(`CREATE TABLE deleted_accounts (
      subject_hash text NOT NULL PRIMARY KEY CHECK (length(subject_hash) = 64),
      user_id uuid NOT NULL UNIQUE REFERENCES users (id),
      deleted_at timestamptz(3) NOT NULL
    )`)
  }
}
