import type { Context } from '../context.ts'
import { findSession, requireAction } from '../guards/access.ts'
import { connect, parsePage, type Connection, type PageArgs } from './connection.ts'
import type { GenerationOfMessage, MessagePart, MessageRow, SessionRow } from '../storage/rows.ts'
import { isUuid } from './validation.ts'

const maxSeq = 2 ** 31 - 1

const parseSeq = (key: string): number | undefined =>
  /^\d{1,10}$/.test(key) && Number(key) <= maxSeq ? Number(key) : undefined

/** A message that the viewer may read; null for any other id. */
export async function message(
  ctx: Context,
  { id }: { id: string },
  action: 'message' | 'node(Message)' = 'message',
): Promise<MessageRow | null> {
  requireAction(ctx, action)
  const found = isUuid(id) ? await ctx.loaders.message.load(id.toLowerCase()) : null
  return found && (await findSession(ctx, found.sessionId, action)) ? found : null
}

/**
 * A page of a session's messages, oldest first. Nothing is awaited before the loader is asked, so that the pages of all
 * sessions and their `lastSeq` are read together.
 * @param parts what is asked of the messages, all of it where undefined
 * @param current the session's row as of the page, where it was not read before
 */
export async function messagesOf(
  ctx: Context,
  session: SessionRow,
  args: PageArgs,
  { parts, current }: { parts?: readonly MessagePart[]; current?: () => Promise<SessionRow> } = {},
): Promise<Connection<MessageRow>> {
  const page = parsePage(args, parseSeq)
  const rows = await ctx.loaders.messagePage(session.id, {
    limit: page.limit,
    fromEnd: page.fromEnd,
    after: page.after ?? 0,
    before: page.before ?? maxSeq,
    parts,
  })
  return connect(
    rows,
    page,
    ({ seq }) => String(seq),
    current ? async () => (await current()).messageCount : () => session.messageCount,
  )
}

/** The run of the model that writes a message; null for one that no model writes. */
export async function generationOfMessage(ctx: Context, of: MessageRow): Promise<GenerationOfMessage | null> {
  return of.role === 'ASSISTANT' ? ctx.loaders.generationOfMessage.load(of.id) : null
}
