import { Migration } from '@mikro-orm/migrations'

export class Initial extends Migration {
  override up(): void {
    this.addSql(`CREATE TABLE users (
      id uuid NOT NULL PRIMARY KEY,
      subject text NOT NULL UNIQUE CHECK (length(subject) BETWEEN 1 AND 255),
      name text NOT NULL,
      is_admin boolean NOT NULL,
      created_at timestamptz(3) NOT NULL,
      last_seen_at timestamptz(3)
    )`)

    this.addSql(`CREATE TABLE sessions (
      id uuid NOT NULL PRIMARY KEY,
      owner_id uuid NOT NULL REFERENCES users (id),
      title text NOT NULL CHECK (length(title) <= 500),
      is_title_set boolean NOT NULL,
      model text NOT NULL,
      settings jsonb NOT NULL,
      metadata jsonb NOT NULL,
      is_archived boolean NOT NULL,
      message_count integer NOT NULL DEFAULT 0 CHECK (message_count >= 0),
      created_at timestamptz(3) NOT NULL,
      updated_at timestamptz(3) NOT NULL,
      last_active_at timestamptz(3) NOT NULL
    )`)
    this.addSql(`CREATE INDEX sessions_owner_id ON sessions (owner_id)`)

    this.addSql(`CREATE TABLE session_logs (
      log_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      session_id uuid NOT NULL UNIQUE REFERENCES sessions (id) ON DELETE CASCADE,
      last_seq integer NOT NULL DEFAULT 0 CHECK (last_seq >= 0)
    )`)

    this.addSql(`CREATE TABLE session_events (
      log_id integer NOT NULL REFERENCES session_logs (log_id) ON DELETE CASCADE,
      seq integer NOT NULL CHECK (seq > 0),
      kind smallint NOT NULL CHECK (kind >= 0),
      subject_id uuid,
      message_seq integer,
      text_offset integer CHECK (text_offset >= 0),
      data text,
      created_at timestamptz(3) NOT NULL,
      PRIMARY KEY (log_id, seq)
    )`)

    this.addSql(`CREATE TABLE participants (
      session_id uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
      user_id uuid NOT NULL REFERENCES users (id),
      role text NOT NULL CHECK (role IN ('OWNER', 'MEMBER', 'VIEWER')),
      joined_at timestamptz(3) NOT NULL,
      PRIMARY KEY (session_id, user_id)
    )`)
    this.addSql(`CREATE INDEX participants_user_id ON participants (user_id)`)
    this.addSql(`CREATE UNIQUE INDEX participants_one_owner ON participants (session_id) WHERE role = 'OWNER'`)

    this.addSql(`CREATE TABLE invitations (
      id uuid NOT NULL PRIMARY KEY,
      session_id uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
      created_by_id uuid NOT NULL REFERENCES users (id),
      token_hash text NOT NULL UNIQUE,
      role text NOT NULL CHECK (role IN ('MEMBER', 'VIEWER')),
      expires_at timestamptz(3) NOT NULL,
      max_uses integer CHECK (max_uses > 0),
      uses integer NOT NULL DEFAULT 0 CHECK (uses >= 0 AND (max_uses IS NULL OR uses <= max_uses)),
      created_at timestamptz(3) NOT NULL
    )`)
    this.addSql(`CREATE INDEX invitations_session_id ON invitations (session_id)`)

    this.addSql(`CREATE TABLE messages (
      id uuid NOT NULL PRIMARY KEY,
      session_id uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
      seq integer NOT NULL CHECK (seq > 0),
      role text NOT NULL CHECK (role IN ('USER', 'ASSISTANT', 'SYSTEM')),
      type text NOT NULL CHECK (type IN ('TEXT', 'AUDIO', 'IMAGE', 'FILE')),
      content text NOT NULL,
      content_seq integer NOT NULL CHECK (content_seq >= 0),
      status text NOT NULL CHECK (status IN ('PENDING', 'STREAMING', 'COMPLETE', 'STOPPED', 'FAILED', 'INTERRUPTED')),
      author_id uuid REFERENCES users (id),
      parent_id uuid REFERENCES messages (id) ON DELETE SET NULL,
      model text,
      metadata jsonb NOT NULL,
      created_at timestamptz(3) NOT NULL,
      updated_at timestamptz(3) NOT NULL
    )`)
    this.addSql(`CREATE UNIQUE INDEX messages_session_id_seq ON messages (session_id, seq)`)
    this.addSql(`CREATE INDEX messages_parent_id ON messages (parent_id) WHERE parent_id IS NOT NULL`)

    this.addSql(`CREATE TABLE generations (
      id uuid NOT NULL PRIMARY KEY,
      message_id uuid NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
      session_id uuid NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
      user_id uuid NOT NULL REFERENCES users (id),
      model text NOT NULL,
      settings jsonb NOT NULL,
      status text NOT NULL CHECK (status IN ('PENDING', 'STREAMING', 'COMPLETE', 'STOPPED', 'FAILED', 'INTERRUPTED')),
      attempts integer NOT NULL CHECK (attempts >= 0),
      error_code text,
      error_message text,
      time_to_first_token_ms integer,
      response_time_ms integer,
      owner_node uuid NOT NULL,
      lease_until timestamptz(3) NOT NULL,
      fence integer NOT NULL,
      started_at timestamptz(3) NOT NULL,
      ended_at timestamptz(3),
      CHECK ((ended_at IS NULL) = (status IN ('PENDING', 'STREAMING')))
    )`)
    this.addSql(`CREATE INDEX generations_message_id ON generations (message_id)`)
    this.addSql(`CREATE INDEX generations_session_id ON generations (session_id)`)
    this.addSql(`CREATE INDEX generations_running ON generations (user_id) WHERE ended_at IS NULL`)
    this.addSql(`CREATE INDEX generations_started_at ON generations (started_at)`)

    this.addSql(`CREATE TABLE usage_records (
      id uuid NOT NULL PRIMARY KEY,
      generation_id uuid NOT NULL UNIQUE,
      session_id uuid REFERENCES sessions (id) ON DELETE SET NULL,
      user_id uuid NOT NULL REFERENCES users (id),
      model text NOT NULL,
      prompt_tokens integer NOT NULL CHECK (prompt_tokens >= 0),
      completion_tokens integer NOT NULL CHECK (completion_tokens >= 0),
      is_estimated boolean NOT NULL,
      created_at timestamptz(3) NOT NULL
    )`)
    this.addSql(`CREATE INDEX usage_records_session_id ON usage_records (session_id)`)
    this.addSql(`CREATE INDEX usage_records_user_id ON usage_records (user_id, created_at)`)

    this.addSql(`CREATE TABLE audit_entries (
      id uuid NOT NULL PRIMARY KEY,
      user_id uuid,
      address text,
      action text NOT NULL,
      session_id uuid,
      subject_id uuid,
      error_code text,
      duration_ms integer NOT NULL,
      created_at timestamptz(3) NOT NULL
    )`)
    this.addSql(`CREATE INDEX audit_entries_session_id ON audit_entries (session_id, created_at)`)
  }
}
