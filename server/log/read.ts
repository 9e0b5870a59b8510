import type { ParticipantRole } from '../entities/participant.ts'
import { toDate, type Storage, type StoredEvent } from '../storage/storage.ts'
import { deltaEvent, eventKinds, sessionEvent, type SessionEvent } from './event.ts'

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

export interface ReadableLog {
  logId: number
  sessionId: string
  /** Ids of its messages by their `seq`, as far as they were read. */
  messageIds?: Map<number, string>
}

/** Up to a thousand stored events beyond `after`, oldest first. */
export async function readEvents(storage: Storage, log: ReadableLog, after: number): Promise<SessionEvent[]> {
  const rows = await storage.readEvents(log.logId, after, batchSize)
  const messageIds = await readMessageIds(storage, log, rows)
  return rows.map((row) => {
    const messageId = row.messageSeq === null ? null : (messageIds.get(row.messageSeq) ?? null)
    if (row.kind === 0) return deltaEvent(log.sessionId, row.seq, messageId, row.textOffset ?? 0, row.data ?? '')
    return sessionEvent({
      kind: eventKinds[row.kind]!,
      sessionId: log.sessionId,
      seq: row.seq,
      subjectId: row.subjectId,
      messageId,
      role: row.data as ParticipantRole | null,
      createdAt: toDate(row.createdAt),
    })
  })
}

/** Deltas name their message by its `seq`; a thousand of them are of few messages. */
async function readMessageIds(
  storage: Storage,
  { sessionId, messageIds: known = new Map() }: ReadableLog,
  rows: StoredEvent[],
): Promise<Map<number, string>> {
  // nothing is taken out of it: somebody may be about to use what is in there
  const messageIds = known.size > batchSize ? new Map<number, string>() : known
  const seqs = new Set<number>()
  for (const { messageSeq } of rows) if (messageSeq !== null && !messageIds.has(messageSeq)) seqs.add(messageSeq)
  if (seqs.size === 0) return messageIds
  const { dialect, read } = storage
  const found = await read.all<{ seq: number; id: string }>(
    `SELECT seq, id FROM messages WHERE session_id = ? AND ${dialect.isIn('seq')}`,
    [sessionId, dialect.list([...seqs])],
  )
  for (const { seq, id } of found) messageIds.set(seq, id)
  return messageIds
}
