import Database from 'better-sqlite3'
import pg from 'pg'
import { eventKinds } from '../../server/log/event.ts'

/** Reads a database beside the server, so that what is compared did not come through it. */
export interface Stored {
  all<Row extends object>(sql: string, params?: unknown[]): Promise<Row[]>
  /** SQL for the table of all events, also of deltas that SQLite has not moved there yet. */
  readonly events: string
  close(): Promise<void>
}

const eventColumns = 'log_id, seq, kind, subject_id, message_seq, text_offset, data'

/** @param url as DATABASE_URL takes it */
export async function openStored(url: string): Promise<Stored> {
  if (url.startsWith('sqlite:')) {
    const database = new Database(url.slice('sqlite:'.length), { readonly: true })
    return {
      all: async <Row extends object>(sql: string, params: unknown[] = []) =>
        database.prepare(sql).all(...params) as Row[],
      events: `(SELECT ${eventColumns} FROM session_events UNION ALL SELECT ${eventColumns} FROM journaled_deltas)`,
      close: async () => void database.close(),
    }
  }
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  return {
    async all<Row extends object>(sql: string, params: unknown[] = []) {
      let count = 0
      return (
        await client.query(
          sql.replaceAll('?', () => `$${++count}`),
          params,
        )
      ).rows as Row[]
    },
    events: 'session_events',
    close: () => client.end(),
  }
}

export interface StoredAnswer {
  status: string
  content: string
  /** What its deltas add up to, and whether each begins where the one before it ended. */
  added: string
  isWhole: boolean
  /** `GenerationEnded` events of its generation, and deltas that stand after the first of them. */
  ends: number
  deltasAfterEnd: number
  isRunning: boolean
}

/** An answer as the tables have it. */
export async function readAnswer(stored: Stored, messageId: string): Promise<StoredAnswer | undefined> {
  const [message] = await stored.all<{
    status: string
    content: string
    logId: number
    seq: number
    generationId: string
  }>(
    `SELECT m.status, m.content, m.seq, l.log_id AS "logId", g.id AS "generationId"
     FROM messages m JOIN session_logs l ON l.session_id = m.session_id JOIN generations g ON g.message_id = m.id
     WHERE m.id = ?`,
    [messageId],
  )
  if (!message) return undefined
  const deltas = await stored.all<{ seq: number; textOffset: number; data: string }>(
    `SELECT seq, text_offset AS "textOffset", data FROM ${stored.events} AS events
     WHERE log_id = ? AND kind = ${eventKinds.indexOf('MessageDelta')} AND message_seq = ? ORDER BY seq`,
    [message.logId, message.seq],
  )
  const ends = await stored.all<{ seq: number }>(
    `SELECT seq FROM ${stored.events} AS events
     WHERE log_id = ? AND kind = ${eventKinds.indexOf('GenerationEnded')} AND subject_id = ? ORDER BY seq`,
    [message.logId, message.generationId],
  )
  let added = ''
  let isWhole = true
  for (const { textOffset, data } of deltas) {
    if (textOffset !== added.length) isWhole = false
    added += data
  }
  return {
    status: message.status,
    content: message.content,
    added,
    isWhole,
    ends: ends.length,
    deltasAfterEnd: deltas.filter(({ seq }) => ends[0] && seq > ends[0].seq).length,
    isRunning: ['PENDING', 'STREAMING'].includes(message.status),
  }
}

/** Stored events of a session that are no deltas, as `seq kind`. */
export async function readOthers(stored: Stored, sessionId: string): Promise<string[]> {
  const rows = await stored.all<{ seq: number; kind: number }>(
    `SELECT e.seq, e.kind FROM ${stored.events} AS e
     WHERE e.log_id = (SELECT log_id FROM session_logs WHERE session_id = ?) AND e.kind <> ${eventKinds.indexOf('MessageDelta')} ORDER BY e.seq`,
    [sessionId],
  )
  return rows.map(({ seq, kind }) => `${seq} ${eventKinds[kind]}`)
}

export async function readLastSeq(stored: Stored, sessionId: string): Promise<number> {
  const [row] = await stored.all<{ lastSeq: number }>(
    `SELECT last_seq AS "lastSeq" FROM session_logs WHERE session_id = ?`,
    [sessionId],
  )
  return row?.lastSeq ?? 0
}
