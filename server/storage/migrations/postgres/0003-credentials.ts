import { Migration } from '@mikro-orm/migrations'

export class Credentials extends Migration {
  override up(): void {
    this.addSql(`CREATE TABLE api_keys (
      id uuid NOT NULL PRIMARY KEY,
      user_id uuid NOT NULL REFERENCES users (id),
      name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
      start text NOT NULL,
      key_hash text NOT NULL UNIQUE CHECK (length(key_hash) = 64),
      scopes jsonb NOT NULL CHECK (jsonb_array_length(scopes) > 0),
      created_at timestamptz(3) NOT NULL,
      expires_at timestamptz(3) NOT NULL,
      last_used_at timestamptz(3),
      revoked_at timestamptz(3)
    )`)
    this.addSql(`CREATE INDEX api_keys_user_id ON api_keys (user_id) WHERE revoked_at IS NULL`)

    this.addSql(`CREATE TABLE revoked_tokens (
      seq integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      credential text NOT NULL UNIQUE CHECK (length(credential) = 64),
      expires_at timestamptz(3) NOT NULL
    )`)
    this.addSql(`CREATE INDEX revoked_tokens_expires_at ON revoked_tokens (expires_at)`)
  }
}
