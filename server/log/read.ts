import type { ParticipantRole } from '../entities/participant.ts'
import { toDate, type Storage } from '../storage/storage.ts'
import { eventKinds, sessionEvent, type SessionEvent } from './event.ts'

const batchSize = 1000

/** Key and position of a session's log; undefined where there is no such session. */
export async function readLog(
  storage: Storage,
  sessionId: string,
): Promise<{ logId: number; lastSeq: number } | undefined> {
  const [log] = await storage.read.all<{ logId: number; lastSeq: number }>(
    `SELECT log_id AS "logId", last_seq AS "lastSeq" FROM session_logs WHERE session_id = ?`,
    [sessionId],
  )
  return log
}

interface EventRow {
  seq: number
  kind: number
  subjectId: string | null
  messageSeq: number | null
  textOffset: number | null
  data: string | null
  createdAt: number | Date
}

/** Up to a thousand stored events beyond `after`, oldest first. */
export async function readEvents(
  storage: Storage,
  log: { logId: number; sessionId: string },
  after: number,
): Promise<SessionEvent[]> {
  const rows = await storage.read.all<EventRow>(
    `SELECT seq, kind, subject_id AS "subjectId", message_seq AS "messageSeq", text_offset AS "textOffset", data,
       created_at AS "createdAt"
     FROM session_events WHERE log_id = ? AND seq > ? ORDER BY seq LIMIT ${batchSize}`,
    [log.logId, after],
  )
  const messageIds = await readMessageIds(storage, log.sessionId, rows)
  return rows.map((row) =>
    sessionEvent({
      kind: eventKinds[row.kind]!,
      sessionId: log.sessionId,
      seq: row.seq,
      subjectId: row.subjectId,
      messageId: row.messageSeq === null ? null : (messageIds.get(row.messageSeq) ?? null),
      offset: row.textOffset ?? 0,
      text: row.kind === 0 ? (row.data ?? '') : '',
      role: row.kind === 0 ? null : (row.data as ParticipantRole | null),
      createdAt: toDate(row.createdAt),
    }),
  )
}

/** Deltas name their message by its `seq`; a thousand of them are of few messages. */
async function readMessageIds(storage: Storage, sessionId: string, rows: EventRow[]): Promise<Map<number, string>> {
  const seqs = new Set<number>()
  for (const row of rows) if (row.messageSeq !== null) seqs.add(row.messageSeq)
  if (seqs.size === 0) return new Map()
  const { dialect, read } = storage
  const found = await read.all<{ seq: number; id: string }>(
    `SELECT seq, id FROM messages WHERE session_id = ? AND ${dialect.isIn('seq')}`,
    [sessionId, dialect.list([...seqs])],
  )
  return new Map(found.map(({ seq, id }) => [seq, id]))
}
