import type { Context } from '../context.ts'
import { InvalidInputError, NotFoundError } from '../errors.ts'
import { requireSession, requireViewer } from '../guards/access.ts'
import { abortable } from '../log/abortable.ts'
import { sessionEvent, type SessionEvent } from '../log/event.ts'
import { checkPosition, follow } from '../log/follow.ts'
import { storedText } from '../generation/prompt.ts'
import { isUuid } from './validation.ts'

interface FollowInput {
  sessionId: string
  after?: number | null
}

/** Whether the viewer may follow a session from there: returns their id, or throws what a subscription is refused with. */
export async function authorizeFollow(ctx: Context, { sessionId, after }: FollowInput): Promise<string> {
  const viewer = requireViewer(ctx)
  await requireSession(ctx, sessionId, 'sessionEvents')
  checkPosition(after ?? null)
  return viewer.id
}

/** Everything in one session, from a position on. */
export async function followSession(
  ctx: Context,
  { sessionId, after }: FollowInput,
): Promise<AsyncIterable<SessionEvent>> {
  const viewerId = await authorizeFollow(ctx, { sessionId, after })
  return abortable((signal) => followAs(ctx, 'sessionEvents', { viewerId, sessionId, after: after ?? null, signal }))
}

const followAs = (
  ctx: Context,
  action: 'sessionEvents' | 'messageDeltas' | 'typing',
  { sessionId, after, ...reader }: { viewerId: string; sessionId: string; after: number | null; signal: AbortSignal },
) =>
  follow(ctx.log, sessionId.toLowerCase(), {
    ...reader,
    after,
    authorize: () => requireSession(ctx, sessionId, action),
  })

/** Who is typing in one session, but for the viewer. */
export async function followTyping(
  ctx: Context,
  { sessionId }: { sessionId: string },
): Promise<AsyncIterable<SessionEvent>> {
  const viewer = requireViewer(ctx)
  await requireSession(ctx, sessionId, 'typing')
  const viewerId = viewer.id
  return abortable((signal) => onlyTyping(followAs(ctx, 'typing', { viewerId, sessionId, after: null, signal })))
}

async function* onlyTyping(events: AsyncGenerator<SessionEvent>): AsyncGenerator<SessionEvent, void, undefined> {
  for await (const event of events) if (event.kind === 'TypingChanged') yield event
}

/** One message's text: what lies beyond `offset` first, as one delta, then live, until the message is whole. */
export async function followMessage(
  ctx: Context,
  { messageId, offset }: { messageId: string; offset: number },
): Promise<AsyncIterable<SessionEvent>> {
  const viewer = requireViewer(ctx)
  checkPosition(offset, 'offset')
  const message = isUuid(messageId) ? await readText(ctx, messageId.toLowerCase()) : undefined
  const unknown = (): NotFoundError => new NotFoundError('There is no such message, or you may not see it.')
  if (!message) throw unknown()
  await requireSession(ctx, message.sessionId, 'messageDeltas', unknown)
  const { length } = message.content
  if (offset > length && !isRunning(message))
    throw new InvalidInputError([
      { path: ['offset'], message: `Must be at most ${length}, the length of the message.` },
    ])
  return abortable((signal) => messageText(ctx, messageId.toLowerCase(), offset, viewer.id, signal))
}

const isRunning = ({ status }: Pick<MessageText, 'status'>): boolean => status === 'PENDING' || status === 'STREAMING'

interface MessageText {
  sessionId: string
  status: string
  content: string
  /** `seq` of the last stored delta in `content`; of a message that none streamed, its own. */
  deltaSeq: number
  lastSeq: number
}

async function* messageText(
  ctx: Context,
  messageId: string,
  offset: number,
  viewerId: string,
  signal: AbortSignal,
): AsyncGenerator<SessionEvent, void, undefined> {
  const message = await readText(ctx, messageId)
  if (!message) return
  const { sessionId, content, deltaSeq, lastSeq, status } = message
  let length = offset
  if (content.length > offset) {
    yield sessionEvent({
      kind: 'MessageDelta',
      sessionId,
      seq: deltaSeq,
      messageId,
      offset,
      text: content.slice(offset),
    })
    length = content.length
  }
  if (!isRunning({ status })) return
  for await (const event of followAs(ctx, 'messageDeltas', { viewerId, sessionId, after: lastSeq, signal })) {
    if (event.kind === 'MessageDelta' && event.messageId === messageId) {
      // a reader who has more than is stored yet is told only of what is new to them
      const known = Math.max(length - event.offset, 0)
      if (known >= event.text.length) continue
      length = event.offset + event.text.length
      yield known === 0 ? event : { ...event, offset: event.offset + known, text: event.text.slice(known) }
    } else if (event.kind === 'GenerationEnded' && event.subjectId !== null) {
      const generation = await ctx.loaders.generation.clear(event.subjectId).load(event.subjectId)
      if (generation?.messageId === messageId) return
    }
  }
}

/** A message's text with the position of the log that it belongs to, from one statement and so of one moment. */
async function readText(ctx: Context, messageId: string): Promise<MessageText | undefined> {
  const [row] = await ctx.storage.read.all<MessageText>(
    `SELECT messages.session_id AS "sessionId", messages.status, ${storedText(ctx.storage)} AS content, l.last_seq AS "lastSeq",
       coalesce(${ctx.storage.dialect.journaledSeq('l.log_id', 'messages.seq')}, (SELECT max(e.seq) FROM session_events e
        WHERE e.log_id = l.log_id AND e.seq > messages.seq AND e.message_seq = messages.seq), messages.seq) AS "deltaSeq"
     FROM messages JOIN session_logs l ON l.session_id = messages.session_id WHERE messages.id = ?`,
    [messageId],
  )
  return row
}
