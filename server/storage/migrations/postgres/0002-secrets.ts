import { Migration } from '@mikro-orm/migrations'

/** What all nodes must have in common and nobody has set. With SQLite it lies in a file beside the database. */
export class Secrets extends Migration {
  override up(): void {
    this.addSql(`CREATE TABLE secrets (
      name text NOT NULL PRIMARY KEY,
      value text NOT NULL CHECK (length(value) >= 32),
      created_at timestamptz(3) NOT NULL DEFAULT now()
    )`)
  }
}
