import { randomUUID } from 'node:crypto'
import type { MessageRole, MessageStatus } from '../../server/entities/message.ts'
import type { ParticipantRole } from '../../server/entities/participant.ts'
import type { GenerationSettings } from '../../server/entities/session.ts'
import type { Job } from '../../server/generation/run.ts'
import { eventKinds } from '../../server/log/event.ts'
import type { SessionLog } from '../../server/log/sessionLog.ts'
import type { DeltaRow, Storage } from '../../server/storage/storage.ts'

export interface SessionRows {
  sessionId: string
  logId: number
  ownerId: string
}

export const noSettings: GenerationSettings = {
  systemPrompt: null,
  temperature: null,
  topP: null,
  maxTokens: null,
  tools: [],
}

/** @returns the user's id */
export async function insertUser(storage: Storage, name = 'Someone'): Promise<string> {
  const id = randomUUID()
  await storage.transaction((tx) =>
    tx.run(`INSERT INTO users (id, subject, name, is_admin, created_at) VALUES (?, ?, ?, ?, ?)`, [
      id,
      id,
      name,
      false,
      new Date(),
    ]),
  )
  return id
}

/** A session with its log and its owner, who is made where none is given. */
export async function insertSession(storage: Storage, of: { ownerId?: string } = {}): Promise<SessionRows> {
  const sessionId = randomUUID()
  const ownerId = of.ownerId ?? (await insertUser(storage))
  const now = new Date()
  const logId = await storage.transaction(async (tx) => {
    await tx.run(
      `INSERT INTO sessions (id, owner_id, title, is_title_set, model, settings, metadata, is_archived, created_at, updated_at, last_active_at)
       VALUES (?, ?, '', ?, 'local/fake', ?, '{}', ?, ?, ?, ?)`,
      [sessionId, ownerId, false, JSON.stringify(noSettings), false, now, now, now],
    )
    const [log] = await tx.all<{ logId: number }>(
      `INSERT INTO session_logs (session_id, last_seq) VALUES (?, 0) RETURNING log_id AS "logId"`,
      [sessionId],
    )
    return log!.logId
  })
  await insertParticipant(storage, { sessionId, userId: ownerId, role: 'OWNER' })
  return { sessionId, logId, ownerId }
}

/** Stored events of a log that has none yet, of which nobody is told. */
export async function insertEvents(storage: Storage, { logId }: SessionRows, count: number): Promise<void> {
  await storage.transaction(async (tx) => {
    await tx.run(
      `INSERT INTO session_events (log_id, seq, kind, created_at)
       WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < ${count})
       SELECT ${logId}, n, ${eventKinds.indexOf('SessionUpdated')}, ? FROM counted`,
      [new Date()],
    )
    await tx.run('UPDATE session_logs SET last_seq = ? WHERE log_id = ?', [count, logId])
  })
}

export async function insertParticipant(
  storage: Storage,
  { sessionId, userId, role = 'MEMBER' }: { sessionId: string; userId: string; role?: ParticipantRole },
): Promise<void> {
  await storage.transaction((tx) =>
    tx.run(`INSERT INTO participants (session_id, user_id, role, joined_at) VALUES (?, ?, ?, ?)`, [
      sessionId,
      userId,
      role,
      new Date(),
    ]),
  )
}

export interface MessageRows {
  role?: MessageRole
  content?: string
  status?: MessageStatus
  parentId?: string | null
}

/** A message with the event that adds it. */
export async function insertMessage(
  storage: Storage,
  log: SessionLog,
  session: SessionRows,
  { role = 'USER', content = 'Hello', status = 'COMPLETE', parentId = null }: MessageRows = {},
): Promise<{ id: string; seq: number }> {
  const id = randomUUID()
  const now = new Date()
  return storage.transaction(async (tx) => {
    const [event] = await log.append(tx, session.sessionId, [{ kind: 'MessageAdded', subjectId: id }])
    const seq = event!.seq!
    await tx.run(
      `INSERT INTO messages (id, session_id, seq, role, type, content, content_seq, status, author_id, parent_id, model, metadata, created_at, updated_at)
       VALUES (?, ?, ?, ?, 'TEXT', ?, ?, ?, ?, ?, ?, '{}', ?, ?)`,
      [
        id,
        session.sessionId,
        seq,
        role,
        content,
        seq,
        status,
        role === 'USER' ? session.ownerId : null,
        parentId,
        role === 'ASSISTANT' ? 'local/fake' : null,
        now,
        now,
      ],
    )
    return { id, seq }
  })
}

export interface GenerationRows {
  /** What the user says; behind `parentId`, if given. */
  content?: string
  parentId?: string | null
  model?: string
  settings?: Partial<GenerationSettings>
  ownerNode?: string
  leaseUntil?: Date
}

/** A message, the empty reply to it and the generation that is to write it: what sending a message stores. */
export async function insertGeneration(
  storage: Storage,
  log: SessionLog,
  session: SessionRows,
  of: GenerationRows = {},
): Promise<Job> {
  const sent = await insertMessage(storage, log, session, { content: of.content, parentId: of.parentId ?? null })
  const reply = await insertMessage(storage, log, session, {
    role: 'ASSISTANT',
    content: '',
    status: 'PENDING',
    parentId: sent.id,
  })
  const generationId = randomUUID()
  const startedAt = new Date()
  const model = of.model ?? 'local/fake'
  const settings = { ...noSettings, ...of.settings }
  await storage.transaction(async (tx) => {
    await log.append(tx, session.sessionId, [{ kind: 'GenerationStarted', subjectId: generationId }])
    await tx.run(
      `INSERT INTO generations (id, message_id, session_id, user_id, model, settings, status, attempts, owner_node, lease_until, fence, started_at)
       VALUES (?, ?, ?, ?, ?, ?, 'PENDING', 1, ?, ?, 1, ?)`,
      [
        generationId,
        reply.id,
        session.sessionId,
        session.ownerId,
        model,
        JSON.stringify(settings),
        of.ownerNode ?? randomUUID(),
        of.leaseUntil ?? new Date(Date.now() + 60_000),
        startedAt,
      ],
    )
  })
  return {
    generationId,
    fence: 1,
    sessionId: session.sessionId,
    logId: session.logId,
    messageId: reply.id,
    messageSeq: reply.seq,
    parentId: sent.id,
    userId: session.ownerId,
    model,
    settings,
    startedAt,
  }
}

/** A delta of a generation's message; its first one where `timeToFirstTokenMs` is given. */
export const deltaRow = (
  job: Job,
  of: { text: string; textOffset: number; timeToFirstTokenMs?: number; fence?: number },
): DeltaRow => ({
  logId: job.logId,
  generationId: job.generationId,
  fence: of.fence ?? job.fence,
  messageId: job.messageId,
  messageSeq: job.messageSeq,
  textOffset: of.textOffset,
  text: of.text,
  timeToFirstTokenMs: of.timeToFirstTokenMs ?? null,
})
