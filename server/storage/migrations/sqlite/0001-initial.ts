import { Migration } from '@mikro-orm/migrations'

export class Initial extends Migration {
  override up(): void {
    this.addSql(`CREATE TABLE users (
      id TEXT NOT NULL PRIMARY KEY,
      subject TEXT NOT NULL UNIQUE CHECK (length(subject) BETWEEN 1 AND 255),
      name TEXT NOT NULL,
      is_admin INTEGER NOT NULL CHECK (is_admin IN (0, 1)),
      created_at INTEGER NOT NULL,
      last_seen_at INTEGER
    ) WITHOUT ROWID`)

    this.addSql(`CREATE TABLE sessions (
      id TEXT NOT NULL PRIMARY KEY,
      owner_id TEXT NOT NULL REFERENCES users (id),
      title TEXT NOT NULL CHECK (length(title) <= 500),
      is_title_set INTEGER NOT NULL CHECK (is_title_set IN (0, 1)),
      model TEXT NOT NULL,
      settings TEXT NOT NULL CHECK (json_valid(settings)),
      metadata TEXT NOT NULL CHECK (json_valid(metadata)),
      is_archived INTEGER NOT NULL CHECK (is_archived IN (0, 1)),
      message_count INTEGER NOT NULL DEFAULT 0 CHECK (message_count >= 0),
      created_at INTEGER NOT NULL,
      updated_at INTEGER NOT NULL,
      last_active_at INTEGER NOT NULL
    ) WITHOUT ROWID`)
    this.addSql(`CREATE INDEX sessions_owner_id ON sessions (owner_id)`)

    this.addSql(`CREATE TABLE session_logs (
      log_id INTEGER PRIMARY KEY AUTOINCREMENT,
      session_id TEXT NOT NULL UNIQUE REFERENCES sessions (id) ON DELETE CASCADE,
      last_seq INTEGER NOT NULL DEFAULT 0 CHECK (last_seq >= 0)
    )`)

    this.addSql(`CREATE TABLE session_events (
      log_id INTEGER NOT NULL REFERENCES session_logs (log_id) ON DELETE CASCADE,
      seq INTEGER NOT NULL CHECK (seq > 0),
      kind INTEGER NOT NULL CHECK (kind >= 0),
      subject_id TEXT,
      message_seq INTEGER,
      text_offset INTEGER CHECK (text_offset >= 0),
      data TEXT,
      created_at INTEGER NOT NULL,
      PRIMARY KEY (log_id, seq)
    )`)

    this.addSql(`CREATE TABLE participants (
      session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
      user_id TEXT NOT NULL REFERENCES users (id),
      role TEXT NOT NULL CHECK (role IN ('OWNER', 'MEMBER', 'VIEWER')),
      joined_at INTEGER NOT NULL,
      PRIMARY KEY (session_id, user_id)
    ) WITHOUT ROWID`)
    this.addSql(`CREATE INDEX participants_user_id ON participants (user_id)`)
    this.addSql(`CREATE UNIQUE INDEX participants_one_owner ON participants (session_id) WHERE role = 'OWNER'`)

    this.addSql(`CREATE TABLE invitations (
      id TEXT NOT NULL PRIMARY KEY,
      session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
      created_by_id TEXT NOT NULL REFERENCES users (id),
      token_hash TEXT NOT NULL UNIQUE,
      role TEXT NOT NULL CHECK (role IN ('MEMBER', 'VIEWER')),
      expires_at INTEGER NOT NULL,
      max_uses INTEGER CHECK (max_uses > 0),
      uses INTEGER NOT NULL DEFAULT 0 CHECK (uses >= 0 AND (max_uses IS NULL OR uses <= max_uses)),
      created_at INTEGER NOT NULL
    ) WITHOUT ROWID`)
    this.addSql(`CREATE INDEX invitations_session_id ON invitations (session_id)`)

    this.addSql(`CREATE TABLE messages (
      id TEXT NOT NULL PRIMARY KEY,
      session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
      seq INTEGER NOT NULL CHECK (seq > 0),
      role TEXT NOT NULL CHECK (role IN ('USER', 'ASSISTANT', 'SYSTEM')),
      type TEXT NOT NULL CHECK (type IN ('TEXT', 'AUDIO', 'IMAGE', 'FILE')),
      content TEXT NOT NULL,
      content_seq INTEGER NOT NULL CHECK (content_seq >= 0),
      status TEXT NOT NULL CHECK (status IN ('PENDING', 'STREAMING', 'COMPLETE', 'STOPPED', 'FAILED', 'INTERRUPTED')),
      author_id TEXT REFERENCES users (id),
      parent_id TEXT REFERENCES messages (id) ON DELETE SET NULL,
      model TEXT,
      metadata TEXT NOT NULL CHECK (json_valid(metadata)),
      created_at INTEGER NOT NULL,
      updated_at INTEGER NOT NULL
    )`)
    this.addSql(`CREATE UNIQUE INDEX messages_session_id_seq ON messages (session_id, seq)`)
    this.addSql(`CREATE INDEX messages_parent_id ON messages (parent_id) WHERE parent_id IS NOT NULL`)

    this.addSql(`CREATE TABLE generations (
      id TEXT NOT NULL PRIMARY KEY,
      message_id TEXT NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
      session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
      user_id TEXT NOT NULL REFERENCES users (id),
      model TEXT NOT NULL,
      settings TEXT NOT NULL CHECK (json_valid(settings)),
      status TEXT NOT NULL CHECK (status IN ('PENDING', 'STREAMING', 'COMPLETE', 'STOPPED', 'FAILED', 'INTERRUPTED')),
      attempts INTEGER NOT NULL CHECK (attempts >= 0),
      error_code TEXT,
      error_message TEXT,
      time_to_first_token_ms INTEGER,
      response_time_ms INTEGER,
      owner_node TEXT NOT NULL,
      lease_until INTEGER NOT NULL,
      fence INTEGER NOT NULL,
      started_at INTEGER NOT NULL,
      ended_at INTEGER,
      CHECK ((ended_at IS NULL) = (status IN ('PENDING', 'STREAMING')))
    ) WITHOUT ROWID`)
    this.addSql(`CREATE INDEX generations_message_id ON generations (message_id)`)
    this.addSql(`CREATE INDEX generations_session_id ON generations (session_id)`)
    this.addSql(`CREATE INDEX generations_running ON generations (user_id) WHERE ended_at IS NULL`)
    this.addSql(`CREATE INDEX generations_started_at ON generations (started_at)`)

    this.addSql(`CREATE TABLE usage_records (
      id TEXT NOT NULL PRIMARY KEY,
      generation_id TEXT NOT NULL UNIQUE,
      session_id TEXT REFERENCES sessions (id) ON DELETE SET NULL,
      user_id TEXT NOT NULL REFERENCES users (id),
      model TEXT NOT NULL,
      prompt_tokens INTEGER NOT NULL CHECK (prompt_tokens >= 0),
      completion_tokens INTEGER NOT NULL CHECK (completion_tokens >= 0),
      is_estimated INTEGER NOT NULL CHECK (is_estimated IN (0, 1)),
      created_at INTEGER NOT NULL
    ) WITHOUT ROWID`)
    this.addSql(`CREATE INDEX usage_records_session_id ON usage_records (session_id)`)
    this.addSql(`CREATE INDEX usage_records_user_id ON usage_records (user_id, created_at)`)

    this.addSql(`CREATE TABLE audit_entries (
      id TEXT NOT NULL PRIMARY KEY,
      user_id TEXT,
      address TEXT,
      action TEXT NOT NULL,
      session_id TEXT,
      subject_id TEXT,
      error_code TEXT,
      duration_ms INTEGER NOT NULL,
      created_at INTEGER NOT NULL
    ) WITHOUT ROWID`)
    this.addSql(`CREATE INDEX audit_entries_session_id ON audit_entries (session_id, created_at)`)
  }
}
