import type { Context } from '../context.ts'
import { InvalidInputError } from '../errors.ts'
import { findSessions, requireAction, requireViewer } from '../guards/access.ts'
import {
  userColumns,
  userOf,
  type GenerationRow,
  type MessageRow,
  type SessionRow,
  type UserRow,
} from '../storage/rows.ts'
import { isUuid } from './validation.ts'
import { viewer as viewerNow } from './viewer.ts'

export type NodeRow = UserRow | SessionRow | MessageRow | GenerationRow

const mostAtOnce = 100

/** Whatever has this id and may be read by the viewer; of people only those they share a session with. */
export async function node(ctx: Context, { id }: { id: string }): Promise<NodeRow | null> {
  const [found] = await nodes(ctx, { ids: [id] })
  return found!
}

/**
 * The same of several ids, in their order, by as many statements as of one.
 * @throws InvalidInputError for more than 100
 */
export async function nodes(ctx: Context, { ids }: { ids: readonly string[] }): Promise<(NodeRow | null)[]> {
  requireViewer(ctx)
  if (ids.length > mostAtOnce)
    throw new InvalidInputError([{ path: ['ids'], message: `Must have at most ${mostAtOnce} ids.` }])
  const asked = ids.map((id) => (isUuid(id) ? id.toLowerCase() : ''))
  const found = await readable(ctx, [...new Set(asked)].filter(Boolean))
  return asked.map((id) => found.get(id) ?? null)
}

async function readable(ctx: Context, ids: readonly string[]): Promise<Map<string, NodeRow>> {
  const found = new Map<string, NodeRow>()
  const me = await viewerNow(ctx)
  if (me && ids.includes(me.id)) found.set(me.id, me)
  const others = ids.filter((id) => !found.has(id))
  if (others.length === 0) return found
  for (const action of ['node(Session)', 'node(Message)', 'node(Generation)'] as const) requireAction(ctx, action)
  const [messages, generations, people] = await Promise.all([
    Promise.all(others.map((id) => ctx.loaders.message.load(id))),
    Promise.all(others.map((id) => ctx.loaders.generation.load(id))),
    companions(ctx, others),
  ])
  const within = [...messages, ...generations].filter((row) => row !== null)
  // one and the same rule for a session and for what is in it
  const sessions = await findSessions(ctx, [...others, ...within.map(({ sessionId }) => sessionId)], 'node(Session)')
  for (const row of [...within.filter(({ sessionId }) => sessions.has(sessionId)), ...people]) found.set(row.id, row)
  for (const id of others) if (sessions.has(id)) found.set(id, sessions.get(id)!)
  return found
}

async function companions(ctx: Context, ids: readonly string[]): Promise<UserRow[]> {
  const { dialect, read } = ctx.storage
  const rows = await read.all(
    `SELECT ${userColumns('u')} FROM users u WHERE ${dialect.isIn('u.id')} AND EXISTS (
       SELECT 1 FROM participants theirs JOIN participants mine ON mine.session_id = theirs.session_id
       WHERE theirs.user_id = u.id AND mine.user_id = ?
     )`,
    [dialect.list(ids), ctx.viewer!.id],
  )
  return rows.map((row) => userOf(row))
}
