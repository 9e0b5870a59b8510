import { Migration } from '@mikro-orm/migrations'

export class Credentials extends Migration {
  override up(): void {
    this.addSql(`CREATE TABLE api_keys (
      id TEXT NOT NULL PRIMARY KEY,
      user_id TEXT NOT NULL REFERENCES users (id),
      name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
      start TEXT NOT NULL,
      key_hash TEXT NOT NULL UNIQUE CHECK (length(key_hash) = 64),
      scopes TEXT NOT NULL CHECK (json_valid(scopes) AND json_array_length(scopes) > 0),
      created_at INTEGER NOT NULL,
      expires_at INTEGER NOT NULL,
      last_used_at INTEGER,
      revoked_at INTEGER
    ) WITHOUT ROWID`)
    this.addSql(`CREATE INDEX api_keys_user_id ON api_keys (user_id) WHERE revoked_at IS NULL`)

    this.addSql(`CREATE TABLE revoked_tokens (
      seq INTEGER PRIMARY KEY AUTOINCREMENT,
      credential TEXT NOT NULL UNIQUE CHECK (length(credential) = 64),
      expires_at INTEGER NOT NULL
    )`)
    this.addSql(`CREATE INDEX revoked_tokens_expires_at ON revoked_tokens (expires_at)`)
  }
}
