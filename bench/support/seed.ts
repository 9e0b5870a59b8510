import { randomUUIDv7 } from 'node:crypto'
import Database from 'better-sqlite3'
import { eventKinds } from '../../server/log/event.ts'

/** Rows as our server would have stored them, written straight into its database while it does not run. */
export interface Seeded {
  sessions: string[]
}

const kind = (name: (typeof eventKinds)[number]): number => eventKinds.indexOf(name)
const words = 'the quick brown fox jumps over the lazy dog while nobody looks and then goes home to sleep '

export function openSeed(path: string) {
  const database = new Database(path)
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = OFF')
  database.pragma('cache_size = -262144')
  database.pragma('foreign_keys = OFF')
  const now = Date.now()
  const insertSession = database.prepare(
    `INSERT INTO sessions (id, owner_id, title, is_title_set, model, settings, metadata, is_archived, message_count, created_at, updated_at, last_active_at)
     VALUES (?, ?, 'Bench', 1, 'local/bench', '{"systemPrompt":null,"temperature":null,"topP":null,"maxTokens":null,"tools":[]}', '{}', 0, ?, ?, ?, ?)`,
  )
  const insertLog = database.prepare(`INSERT INTO session_logs (session_id, last_seq) VALUES (?, ?)`)
  const insertOwner = database.prepare(
    `INSERT INTO participants (session_id, user_id, role, joined_at) VALUES (?, ?, 'OWNER', ?)`,
  )
  const insertMessage = database.prepare(
    `INSERT INTO messages (id, session_id, seq, role, type, content, content_seq, status, author_id, parent_id, model, metadata, created_at, updated_at)
     VALUES (?, ?, ?, ?, 'TEXT', ?, ?, 'COMPLETE', ?, ?, ?, '{}', ?, ?)`,
  )
  const insertGeneration = database.prepare(
    `INSERT INTO generations (id, message_id, session_id, user_id, model, settings, status, attempts, owner_node, lease_until, fence, started_at, ended_at)
     VALUES (?, ?, ?, ?, 'local/bench', '{}', 'COMPLETE', 1, 'seed', 0, 1, ?, ?)`,
  )
  const insertEvent = database.prepare(
    `INSERT INTO session_events (log_id, seq, kind, subject_id, message_seq, text_offset, data, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  )

  function addSession(userId: string, messageCount: number, lastSeq: number): { id: string; logId: number } {
    const id = randomUUIDv7()
    insertSession.run(id, userId, messageCount, now, now, now)
    insertOwner.run(id, userId, now)
    return { id, logId: Number(insertLog.run(id, lastSeq).lastInsertRowid) }
  }

  return {
    /** Sessions with so many messages each, of about 180 characters, by turns of the user and the model. */
    messages: database.transaction((userId: string, sessions: number, messagesEach: number): string[] =>
      Array.from({ length: sessions }, () => {
        const { id } = addSession(userId, messagesEach, messagesEach)
        let parent: string | null = null
        for (let seq = 1; seq <= messagesEach; seq++) {
          const isUser = seq % 2 === 1
          const messageId = randomUUIDv7()
          const content = `${seq}: ${words.slice(0, 40 + ((seq * 7) % 50))}${words}`
          const [author, model] = isUser ? [userId, null] : [null, 'local/bench']
          insertMessage.run(
            messageId,
            id,
            seq,
            isUser ? 'USER' : 'ASSISTANT',
            content,
            seq,
            author,
            parent,
            model,
            now,
            now,
          )
          parent = messageId
        }
        return id
      }),
    ),
    /** A session of `exchanges`, each with `deltas` deltas beside the events that begin and end it. */
    exchanges: database.transaction((userId: string, exchanges: number, deltas: number) => {
      const each = deltas + 4
      const { id, logId } = addSession(userId, exchanges * 2, exchanges * each)
      const text = 'abcdefghijklmnopqrst '
      for (let exchange = 0; exchange < exchanges; exchange++) {
        const [question, reply, generation] = [randomUUIDv7(), randomUUIDv7(), randomUUIDv7()]
        const seq = exchange * each + 1
        insertMessage.run(question, id, seq, 'USER', words, seq, userId, null, null, now, now)
        insertMessage.run(
          reply,
          id,
          seq + 1,
          'ASSISTANT',
          text.repeat(deltas),
          seq + each - 1,
          null,
          question,
          'local/bench',
          now,
          now,
        )
        insertGeneration.run(generation, reply, id, userId, now, now)
        insertEvent.run(logId, seq, kind('MessageAdded'), question, null, null, null, now)
        insertEvent.run(logId, seq + 1, kind('MessageAdded'), reply, null, null, null, now)
        insertEvent.run(logId, seq + 2, kind('GenerationStarted'), generation, null, null, null, now)
        for (let n = 0; n < deltas; n++)
          insertEvent.run(logId, seq + 3 + n, kind('MessageDelta'), null, seq + 1, n * text.length, text, now)
        insertEvent.run(logId, seq + each - 1, kind('GenerationEnded'), generation, null, null, null, now)
      }
      return { id, logId, lastSeq: exchanges * each, characters: exchanges * deltas * text.length }
    }),
    close() {
      database.pragma('wal_checkpoint(TRUNCATE)')
      database.close()
    },
  }
}
