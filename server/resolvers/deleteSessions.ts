import { z } from 'zod'
import type { Context } from '../context.ts'
import type { ParticipantRole } from '../entities/participant.ts'
import { NotFoundError } from '../errors.ts'
import { notFound, requireRole, requireViewer } from '../guards/access.ts'
import type { Tx } from '../storage/storage.ts'
import { audit } from './audit.ts'
import { isUuid, parse } from './validation.ts'
import { tellViewers } from './viewerEvents.ts'

const limit = 100
const what = `Must have 1 to ${limit} ids.`
const deleteSchema = z.object({ sessionIds: z.array(z.string()).min(1, what).max(limit, what) })

/** Deletes all of these sessions or none, after stopping what runs in them. */
export async function deleteSessions(ctx: Context, input: { sessionIds: string[] }): Promise<{ sessionIds: string[] }> {
  const startedAt = performance.now()
  const viewer = requireViewer(ctx)
  const { sessionIds } = parse(deleteSchema, input)
  const ids = [...new Set(sessionIds.map((id) => id.toLowerCase()))]
  await requireOwn(ctx, ids, viewer.id)
  await stopGenerations(ctx, ids)
  await remove(ctx, ids, viewer.id, { startedAt, action: 'deleteSessions' })
  return { sessionIds: ids }
}

/** Deletes the viewer's own sessions that have no message. */
export async function deleteEmptySessions(ctx: Context): Promise<{ sessionIds: string[] }> {
  const startedAt = performance.now()
  const viewer = requireViewer(ctx)
  const rows = await ctx.storage.read.all<{ id: string }>(
    `SELECT id FROM sessions WHERE owner_id = ? AND message_count = 0`,
    [viewer.id],
  )
  const ids = rows.map(({ id }) => id)
  if (ids.length === 0) return { sessionIds: [] }
  return { sessionIds: await remove(ctx, ids, viewer.id, { startedAt, action: 'deleteEmptySessions' }) }
}

/** Deletes, a hundred at a time, all that the viewer owns, after stopping what runs in it. */
export async function deleteOwnSessions(ctx: Context, viewerId: string, startedAt: number): Promise<void> {
  for (;;) {
    const rows = await ctx.storage.read.all<{ id: string }>(
      `SELECT id FROM sessions WHERE owner_id = ? ORDER BY id LIMIT ${limit}`,
      [viewerId],
    )
    if (rows.length === 0) return
    const ids = rows.map(({ id }) => id)
    await stopGenerations(ctx, ids)
    await remove(ctx, ids, viewerId, { startedAt, action: 'deleteViewer' })
  }
}

/** @throws NotFoundError where the viewer may not read one of them, ForbiddenError where they don't own one */
async function requireOwn(ctx: Context, ids: string[], viewerId: string): Promise<void> {
  if (!ids.every(isUuid)) throw notFound()
  const { dialect, read } = ctx.storage
  const rows = await read.all<{ role: ParticipantRole }>(
    `SELECT role FROM participants WHERE user_id = ? AND ${dialect.isIn('session_id')}`,
    [viewerId, dialect.list(ids)],
  )
  if (rows.length < ids.length) throw notFound()
  for (const { role } of rows) requireRole(role, 'deleteSessions')
}

async function stopGenerations(ctx: Context, sessionIds: string[]): Promise<void> {
  const { dialect, read } = ctx.storage
  const running = await read.all<{ id: string }>(
    `SELECT id FROM generations WHERE ended_at IS NULL AND ${dialect.isIn('session_id')}`,
    [dialect.list(sessionIds)],
  )
  await Promise.all(
    running.map(({ id }) =>
      ctx.generations.stop(id).catch((error: unknown) => {
        // somebody deleted its session meanwhile
        if (!(error instanceof NotFoundError)) throw error
      }),
    ),
  )
}

type Deletion = 'deleteSessions' | 'deleteEmptySessions' | 'deleteViewer'

/** @throws ForbiddenError where one that was to go was handed over meanwhile */
async function remove(
  ctx: Context,
  wanted: string[],
  ownerId: string,
  action: { action: Deletion; startedAt: number },
): Promise<string[]> {
  return ctx.storage.transaction(async (tx) => {
    const found = await lockForDeletion(tx, ctx, wanted, action.action === 'deleteEmptySessions')
    const ids = found.filter((session) => session.ownerId === ownerId).map(({ id }) => id)
    if (action.action === 'deleteSessions' && ids.length < found.length) requireRole('MEMBER', 'deleteSessions')
    if (ids.length === 0) return []
    for (const id of ids) {
      await audit(tx, ctx, { ...action, sessionId: id })
      await tellViewers(tx, ctx, id, 'SessionUnlisted')
    }
    const { dialect } = ctx.storage
    await tx.run(`DELETE FROM sessions WHERE ${dialect.isIn('id')}`, [dialect.list(ids)])
    tx.afterCommit(() => ids.forEach((id) => ctx.log.deleted(id)))
    return ids
  })
}

/** Those of the sessions that are still there. */
async function lockForDeletion(
  tx: Tx,
  ctx: Context,
  wanted: string[],
  onlyEmpty: boolean,
): Promise<{ id: string; ownerId: string }[]> {
  const { dialect } = ctx.storage
  const list = dialect.list(wanted)
  // Generations before logs, as whoever stores deltas locks them: else the two could wait for each other for ever.
  await tx.all(
    `SELECT id FROM generations WHERE ended_at IS NULL AND ${dialect.isIn('session_id')} ORDER BY id ${dialect.forUpdate}`,
    [list],
  )
  await tx.all(
    `SELECT log_id FROM session_logs WHERE ${dialect.isIn('session_id')} ORDER BY log_id ${dialect.forUpdate}`,
    [list],
  )
  // read only now: a session that was empty may have got its first message until the lock was there
  return tx.all(
    `SELECT id, owner_id AS "ownerId" FROM sessions WHERE ${dialect.isIn('id')} ${onlyEmpty ? 'AND message_count = 0' : ''}`,
    [list],
  )
}
