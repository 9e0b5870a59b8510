import type { Context } from '../context.ts'
import type { ParticipantRole } from '../entities/participant.ts'
import { ForbiddenError, NotFoundError, UnauthenticatedError } from '../errors.ts'
import { sessionColumns, sessionOf, type SessionRow, type UserRow } from '../storage/rows.ts'
import type { Sql } from '../storage/storage.ts'
import { isUuid } from './uuid.ts'

export interface Access {
  session: SessionRow
  role: ParticipantRole
}

const allowed: Record<'read' | 'write' | 'own', readonly ParticipantRole[]> = {
  read: ['OWNER', 'MEMBER', 'VIEWER'],
  write: ['OWNER', 'MEMBER'],
  own: ['OWNER'],
}

/** @throws UnauthenticatedError where nobody is signed in, or their token has ended since */
export function requireViewer(ctx: Pick<Context, 'viewer' | 'expiresAt'>): UserRow {
  if (!ctx.viewer) throw new UnauthenticatedError()
  if (ctx.expiresAt && ctx.expiresAt.getTime() <= Date.now()) throw new UnauthenticatedError('The token has expired.')
  return ctx.viewer
}

/** The same for a session that is not there and for one that the viewer may not read: nobody learns which it is. */
export const notFound = () => new NotFoundError('There is no such session, or you may not read it.')

/** A session with the viewer's role in it, by one query; undefined where the viewer may not read it. */
export async function findSession(ctx: Context, sessionId: string): Promise<Access | undefined> {
  const viewer = requireViewer(ctx)
  if (!isUuid(sessionId)) return undefined
  const [row] = await ctx.storage.read.all(
    `SELECT ${sessionColumns('s')}, p.role FROM sessions s
     JOIN participants p ON p.session_id = s.id AND p.user_id = ? WHERE s.id = ?`,
    [viewer.id, sessionId.toLowerCase()],
  )
  return row && { session: sessionOf(row), role: row.role as ParticipantRole }
}

/**
 * The same, for someone who wants to do something with it.
 * @throws NotFoundError where the viewer may not read it, ForbiddenError where that is all they may do
 */
export async function requireSession(ctx: Context, sessionId: string, need: keyof typeof allowed): Promise<Access> {
  const access = await findSession(ctx, sessionId)
  if (!access) throw notFound()
  requireRole(access.role, need)
  return access
}

/**
 * Asks once more, in a transaction that has locked the session: nobody can take the right away before it is over.
 * @throws NotFoundError, ForbiddenError as `requireSession`
 */
export async function requireStill(
  tx: Sql,
  viewerId: string,
  sessionId: string,
  need: keyof typeof allowed,
): Promise<void> {
  const [row] = await tx.all<{ role: ParticipantRole }>(
    `SELECT role FROM participants WHERE session_id = ? AND user_id = ?`,
    [sessionId, viewerId],
  )
  if (!row) throw notFound()
  requireRole(row.role, need)
}

function requireRole(role: ParticipantRole, need: keyof typeof allowed): void {
  if (allowed[need].includes(role)) return
  throw new ForbiddenError(
    need === 'own' ? 'Only the owner of the session may do this.' : 'You may read this session, but not write in it.',
  )
}
