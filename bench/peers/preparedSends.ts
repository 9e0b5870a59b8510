import { randomUUIDv7 } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Database from 'better-sqlite3'
import { answer } from '../support/answer.ts'

/** The rows of a send that asks for no reply, by better-sqlite3 in one prepared transaction, as safe as ours (`synchronous=FULL`). */
const [path, userId] = process.argv.slice(2) as [string, string]
const database = new Database(path)
database.pragma('journal_mode = WAL')
database.pragma('synchronous = FULL')
database.pragma('wal_autocheckpoint = 10000')
database.pragma('cache_size = -65536')
database.pragma('foreign_keys = ON')

const seen = database.prepare(`UPDATE users SET last_seen_at = ? WHERE id = ?`)
const count = database
  .prepare(`UPDATE session_logs SET last_seq = last_seq + 1 WHERE session_id = ? RETURNING log_id, last_seq`)
  .raw()
const newest = database.prepare(`SELECT id FROM messages WHERE session_id = ? ORDER BY seq DESC LIMIT 1`).pluck()
const event = database.prepare(
  `INSERT INTO session_events (log_id, seq, kind, subject_id, created_at) VALUES (?, ?, 1, ?, ?)`,
)
const message = database.prepare(
  `INSERT INTO messages (id, session_id, seq, role, type, content, content_seq, status, author_id, parent_id, metadata, created_at, updated_at)
   VALUES (?, ?, ?, 'USER', 'TEXT', ?, ?, 'COMPLETE', ?, ?, '{}', ?, ?)`,
)
const session = database.prepare(
  `UPDATE sessions SET message_count = message_count + 1, last_active_at = ?, updated_at = ? WHERE id = ?`,
)
const audit = database.prepare(
  `INSERT INTO audit_entries (id, user_id, address, action, session_id, subject_id, duration_ms, created_at) VALUES (?, ?, '127.0.0.1', 'sendMessage', ?, ?, 1, ?)`,
)

const send = database.transaction((sessionId: string, id: string, content: string): number => {
  const now = Date.now()
  seen.run(now, userId)
  const [logId, seq] = count.get(sessionId) as [number, number]
  const parent = newest.get(sessionId) as string | undefined
  event.run(logId, seq, id, now)
  message.run(id, sessionId, seq, content, seq, userId, parent ?? null, now, now)
  session.run(now, now, sessionId)
  audit.run(randomUUIDv7(), userId, sessionId, id, now)
  return seq
})

const methods = {
  /** Sends one after the other for so long. */
  run({ sessions, content, durationMs }: { sessions: string[]; content: string; durationMs: number }) {
    const startedAt = performance.now()
    let requests = 0
    while (performance.now() - startedAt < durationMs)
      send.immediate(sessions[requests++ % sessions.length]!, randomUUIDv7(), content)
    return { requests, seconds: (performance.now() - startedAt) / 1000 }
  },
}
export type PreparedSends = typeof methods

/** The same behind `node:http`. */
const server = createServer((request, response) => {
  let body = ''
  request.setEncoding('utf8')
  request.on('data', (text: string) => (body += text))
  request.on('end', () => {
    const { variables } = JSON.parse(body) as {
      variables: { input: { sessionId: string; id: string; content: string } }
    }
    const { sessionId, id, content } = variables.input
    const text = JSON.stringify({ sent: { id, seq: send.immediate(sessionId, id, content) } })
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
    response.end(text)
  })
})
server.listen(0, '127.0.0.1', () => answer(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, methods))
