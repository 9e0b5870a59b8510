import { randomUUIDv7 } from 'node:crypto'
import type { Context } from '../context.ts'
import type { Generation } from '../entities/generation.ts'
import type { Message } from '../entities/message.ts'
import type { GenerationSettings, Session } from '../entities/session.ts'
import { ConflictError, NotFoundError, RateLimitedError } from '../errors.ts'
import { requireSession, requireStill, requireViewer } from '../guards/access.ts'
import type { EventDraft } from '../log/event.ts'
import { insert } from '../storage/rows.ts'
import { isUniqueViolation, type Tx } from '../storage/storage.ts'
import { audit } from './audit.ts'
import { requireFreeId } from './freeId.ts'
import { tellViewers } from './viewerEvents.ts'
import { parseSendMessage, type SendMessage, type SendMessageInput } from './sendMessageInput.ts'
import { titleFrom } from './title.ts'
import { mergeSettings } from './updateSession.ts'

export interface Sent {
  sent: Message
  reply: Message | null
  generation: Generation | null
}

/**
 * Stores a message and, unless it asks for no response, an empty reply with its generation, all in one transaction; then
 * starts the model and returns without waiting for it. A repeat under the same id returns what the first one did.
 */
export async function sendMessage(ctx: Context, input: SendMessageInput): Promise<Sent> {
  const viewer = requireViewer(ctx)
  const send = parseSendMessage(input, ctx.config)
  const { session } = await requireSession(ctx, send.sessionId, 'sendMessage')
  const repeated = send.isIdGiven && (await findRepeat(ctx, send, viewer.id))
  if (repeated) return repeated
  ctx.generations.requireOpen()
  if (send.model !== null && !(await ctx.providers.resolve(send.model)))
    throw new NotFoundError(
      `There is no model "${send.model}" (field model); the query models lists those that there are.`,
    )
  const giveBack = await ctx.limits.message(viewer.id, ctx.address, send.id)
  try {
    const stored = await ctx.storage.transaction((tx) => store(ctx, tx, session, send, viewer.id))
    ctx.presence.setTyping(session.id, viewer.id, false)
    // the loader remembers that it was not there, and would say so to whoever asks for the reply's parent
    ctx.loaders.message.clear(send.id)
    return stored
  } catch (error) {
    const first = isUniqueViolation(error) && (await findRepeat(ctx, send, viewer.id))
    if (first) return first
    await giveBack()
    throw error
  }
}

/**
 * What was stored under this id before; undefined where nothing was.
 * @throws ConflictError where that is another message
 */
async function findRepeat(ctx: Context, send: SendMessage, viewerId: string): Promise<Sent | undefined> {
  ctx.loaders.message.clear(send.id)
  const sent = await ctx.loaders.message.load(send.id)
  if (!sent) return undefined
  if (sent.content !== send.content || sent.authorId !== viewerId || sent.sessionId !== send.sessionId)
    throw new ConflictError('Another message has this id already. Send this one under a new id.')
  const [row] = await ctx.storage.read.all<{ id: string; messageId: string }>(
    `SELECT g.id, g.message_id AS "messageId" FROM messages m JOIN generations g ON g.message_id = m.id
     WHERE m.parent_id = ? ORDER BY m.seq, g.id LIMIT 1`,
    [sent.id],
  )
  if (!row) return { sent, reply: null, generation: null }
  const [reply, generation] = await Promise.all([
    ctx.loaders.message.load(row.messageId),
    ctx.loaders.generation.load(row.id),
  ])
  return { sent, reply, generation }
}

async function store(ctx: Context, tx: Tx, session: Session, send: SendMessage, viewerId: string): Promise<Sent> {
  const now = new Date()
  const replyId = send.respond ? randomUUIDv7() : null
  const generationId = randomUUIDv7()
  // the lock on the sender's row makes their sends wait for each other, on other nodes too: the count below holds
  await tx.run(`UPDATE users SET last_seen_at = ? WHERE id = ?`, [now, viewerId])
  if (send.respond) await requireFreeGeneration(ctx, tx, viewerId)

  if (send.isIdGiven) await requireFreeId(tx, send.id, ['users', 'sessions', 'generations'])
  const title = await firstTitle(ctx, tx, session.id, send.content)
  const drafts: EventDraft[] = [{ kind: 'MessageAdded', subjectId: send.id }]
  if (replyId !== null)
    drafts.push({ kind: 'MessageAdded', subjectId: replyId }, { kind: 'GenerationStarted', subjectId: generationId })
  if (title !== null) drafts.push({ kind: 'SessionUpdated' })
  const parentId = send.parentId ? await requireParent(tx, send.sessionId, send.parentId) : undefined
  const events = await ctx.log.append(tx, session.id, drafts)
  await requireStill(tx, viewerId, session.id, 'sendMessage')

  const model = send.model ?? session.model
  const blank = { sessionId: session.id, type: 'TEXT', metadata: {}, createdAt: now, updatedAt: now } as const
  const sent: Message = {
    ...blank,
    id: send.id,
    seq: events[0]!.seq!,
    role: 'USER',
    content: send.content,
    contentSeq: events[0]!.seq!,
    status: 'COMPLETE',
    authorId: viewerId,
    // read after the log's row is locked by the append: nobody adds a newer one until this is committed
    parentId: parentId ?? (await newestMessage(tx, session.id)),
    model: null,
    metadata: send.metadata,
  }
  await insert(tx, 'messages', sent)
  let reply: Message | null = null
  let generation: Generation | null = null
  if (replyId !== null) {
    reply = {
      ...blank,
      id: replyId,
      seq: events[1]!.seq!,
      role: 'ASSISTANT',
      content: '',
      contentSeq: events[1]!.seq!,
      status: 'PENDING',
      authorId: null,
      parentId: sent.id,
      model,
    }
    await insert(tx, 'messages', reply)
    generation = newGeneration(ctx, {
      id: generationId,
      reply,
      model,
      settings: mergeSettings(session.settings, send.settings),
      viewerId,
      now,
    })
    await insert(tx, 'generations', generation, { leaseUntil: ctx.generations.leaseUntil })
    const [log] = await tx.all<{ logId: number }>(`SELECT log_id AS "logId" FROM session_logs WHERE session_id = ?`, [
      session.id,
    ])
    const job = { generation, reply, logId: log!.logId }
    tx.afterCommit(() => startJob(ctx, job))
  }
  await tx.run(
    `UPDATE sessions SET message_count = message_count + ?, last_active_at = ?, updated_at = ?, title = coalesce(?, title) WHERE id = ?`,
    [reply ? 2 : 1, now, now, title, session.id],
  )
  await audit(tx, ctx, { action: 'sendMessage', sessionId: session.id, subjectId: sent.id })
  await tellViewers(tx, ctx, session.id, 'SessionChanged')
  return { sent, reply, generation }
}

function startJob(
  ctx: Context,
  { generation, reply, logId }: { generation: Generation; reply: Message; logId: number },
): void {
  ctx.generations.run({
    generationId: generation.id,
    fence: generation.fence,
    sessionId: generation.sessionId,
    logId,
    messageId: reply.id,
    messageSeq: reply.seq,
    parentId: reply.parentId!,
    userId: generation.userId,
    model: generation.model,
    settings: generation.settings,
    startedAt: generation.startedAt,
    requestId: ctx.requestId,
  })
}

async function requireFreeGeneration(ctx: Context, tx: Tx, userId: string): Promise<void> {
  const limit = ctx.config.maxConcurrentGenerations
  const [row] = await tx.all<{ running: number | string }>(
    `SELECT count(*) AS running FROM generations WHERE user_id = ? AND ended_at IS NULL`,
    [userId],
  )
  if (Number(row!.running) >= limit)
    throw new RateLimitedError(
      `${limit} of your answers are being written already. Wait until one ends, or stop one.`,
      1000,
      'TOO_MANY_GENERATIONS',
    )
}

async function requireParent(tx: Tx, sessionId: string, parentId: string): Promise<string> {
  const [parent] = await tx.all<{ id: string }>(`SELECT id FROM messages WHERE id = ? AND session_id = ?`, [
    parentId,
    sessionId,
  ])
  if (!parent) throw new NotFoundError('There is no message with the id in parentId in this session.')
  return parent.id
}

async function newestMessage(tx: Tx, sessionId: string): Promise<string | null> {
  const [newest] = await tx.all<{ id: string }>(
    `SELECT id FROM messages WHERE session_id = ? ORDER BY seq DESC LIMIT 1`,
    [sessionId],
  )
  return newest?.id ?? null
}

/** The title that a session's first message gives it; null where it has one. */
async function firstTitle(ctx: Context, tx: Tx, sessionId: string, content: string): Promise<string | null> {
  const [untitled] = await tx.all(`SELECT id FROM sessions WHERE id = ? AND title = '' AND NOT is_title_set`, [
    sessionId,
  ])
  return untitled ? titleFrom(content, ctx.config.maxTitleCharacters) : null
}

function newGeneration(
  ctx: Context,
  of: { id: string; reply: Message; model: string; settings: GenerationSettings; viewerId: string; now: Date },
): Generation {
  return {
    id: of.id,
    messageId: of.reply.id,
    sessionId: of.reply.sessionId,
    userId: of.viewerId,
    model: of.model,
    settings: of.settings,
    status: 'PENDING',
    attempts: 1,
    errorCode: null,
    errorMessage: null,
    finishReason: null,
    timeToFirstTokenMs: null,
    responseTimeMs: null,
    ownerNode: ctx.generations.nodeId,
    // set by the clock of the database when it is inserted
    leaseUntil: of.now,
    fence: 1,
    startedAt: of.now,
    endedAt: null,
  }
}
