import type { Context } from '../context.ts'
import { findSession, requireViewer } from '../guards/access.ts'
import { message } from './message.ts'
import {
  userColumns,
  userOf,
  type GenerationRow,
  type MessageRow,
  type SessionRow,
  type UserRow,
} from '../storage/rows.ts'
import { isUuid } from './validation.ts'

export type NodeRow = UserRow | SessionRow | MessageRow | GenerationRow

/** Whatever has this id and may be read by the viewer; of people only those they share a session with. */
export async function node(ctx: Context, { id: given }: { id: string }): Promise<NodeRow | null> {
  const viewer = requireViewer(ctx)
  if (!isUuid(given)) return null
  const id = given.toLowerCase()
  if (id === viewer.id) return viewer
  const found = await Promise.all([
    findSession(ctx, id, 'node(Session)').then((access) => access?.session),
    message(ctx, { id }, 'node(Message)'),
    readableGeneration(ctx, id),
    companion(ctx, id, viewer.id),
  ])
  return found.find(Boolean) ?? null
}

async function readableGeneration(ctx: Context, id: string): Promise<GenerationRow | null> {
  const generation = await ctx.loaders.generation.load(id)
  return generation && (await findSession(ctx, generation.sessionId, 'node(Generation)')) ? generation : null
}

async function companion(ctx: Context, id: string, viewerId: string): Promise<UserRow | undefined> {
  const [row] = await ctx.storage.read.all(
    `SELECT ${userColumns('u')} FROM users u WHERE u.id = ? AND EXISTS (
       SELECT 1 FROM participants theirs JOIN participants mine ON mine.session_id = theirs.session_id
       WHERE theirs.user_id = u.id AND mine.user_id = ?
     )`,
    [id, viewerId],
  )
  return row && userOf(row)
}
