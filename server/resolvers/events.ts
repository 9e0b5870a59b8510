import type { Context } from '../context.ts'
import { NotFoundError } from '../errors.ts'
import type { SessionEvent } from '../log/event.ts'
import type { GenerationRow, MessageRow, ParticipantRow } from '../storage/rows.ts'

/** @throws NotFoundError where the message was deleted since */
export async function messageOfEvent(ctx: Context, { subjectId }: SessionEvent): Promise<MessageRow> {
  const message = await ctx.loaders.message.load(subjectId!)
  if (!message) throw new NotFoundError('The message is gone.')
  return message
}

/** @throws NotFoundError where the generation's session was deleted since */
export async function generationOfEvent(ctx: Context, { subjectId }: SessionEvent): Promise<GenerationRow> {
  const generation = await ctx.loaders.generation.load(subjectId!)
  if (!generation) throw new NotFoundError('The generation is gone.')
  return generation
}

/** @throws NotFoundError where the session was deleted since */
export async function messageOfGeneration(ctx: Context, { messageId }: GenerationRow): Promise<MessageRow> {
  const message = await ctx.loaders.message.load(messageId)
  if (!message) throw new NotFoundError('The message is gone.')
  return message
}

/** The participant as the event tells of them: when it is read again later they may have left. */
export async function participantOfEvent(ctx: Context, event: SessionEvent): Promise<ParticipantRow> {
  const told: ParticipantRow = {
    sessionId: event.sessionId,
    userId: event.subjectId!,
    role: event.role!,
    joinedAt: event.createdAt!,
  }
  if (event.kind === 'ParticipantJoined') return told
  const participants = await ctx.loaders.participants.load(event.sessionId)
  const joinedAt = participants.find(({ userId }) => userId === told.userId)?.joinedAt
  return { ...told, joinedAt: joinedAt ?? told.joinedAt }
}
