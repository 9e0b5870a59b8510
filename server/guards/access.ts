import type { Context } from '../context.ts'
import type { ParticipantRole } from '../entities/participant.ts'
import { ForbiddenError, NotFoundError, UnauthenticatedError } from '../errors.ts'
import { sessionColumns, sessionOf, type SessionRow, type UserRow } from '../storage/rows.ts'
import type { Sql } from '../storage/storage.ts'
import { rowOf, type Action, type Row } from './accessTable.ts'
import { isUuid } from './uuid.ts'

export interface Access {
  session: SessionRow
  role: ParticipantRole
}

type Asking = Pick<Context, 'viewer' | 'expiresAt' | 'scopes'>

/** @throws UnauthenticatedError where nobody is signed in, or their token has ended since */
export function requireViewer(ctx: Pick<Asking, 'viewer' | 'expiresAt'>): UserRow {
  if (!ctx.viewer) throw new UnauthenticatedError()
  if (ctx.expiresAt && ctx.expiresAt.getTime() <= Date.now()) throw new UnauthenticatedError('The token has expired.')
  return ctx.viewer
}

/**
 * What the table says of an action whatever it is done to: whether one must be signed in, or an admin, and what the
 * viewer's key must be good for.
 * @param row undefined for what is not in the table: it is closed to everyone
 * @throws UnauthenticatedError, ForbiddenError
 */
export function requireAllowed(ctx: Asking, row: Row | undefined): void {
  if (row?.rule.anonymous !== 'yes') requireViewer(ctx)
  if (!row) throw new ForbiddenError('Nobody may do this.')
  if (ctx.scopes && !ctx.scopes.includes(row.scope))
    throw new ForbiddenError(`This takes an API key with the scope "${row.scope}".`)
  const { outsider, OWNER, admin } = row.rule
  // FORBIDDEN to the owner as to an outsider: no session is asked about
  if (outsider === 'FORBIDDEN' && OWNER === 'FORBIDDEN' && !(ctx.viewer?.isAdmin && admin === 'yes'))
    throw new ForbiddenError('Only admins may do this.')
}

/** @throws UnauthenticatedError, ForbiddenError as `requireAllowed` */
export function requireAction(ctx: Asking, action: Action): void {
  requireAllowed(ctx, rowOf(action))
}

/** The same for a session that is not there and for one that the viewer may not read: nobody learns which it is. */
export const notFound = () => new NotFoundError('There is no such session, or you may not read it.')

/** A session with the viewer's role in it, by one query; undefined where they may not do this in it. */
export async function findSession(ctx: Context, sessionId: string, action: Action): Promise<Access | undefined> {
  const access = await findAsParticipant(ctx, sessionId, action)
  return access && rowOf(action).rule[access.role] === 'yes' ? access : undefined
}

/** Those of these sessions in which the viewer may do this, by their ids, which are UUIDs; all by one query. */
export async function findSessions(
  ctx: Context,
  sessionIds: readonly string[],
  action: Action,
): Promise<Map<string, SessionRow>> {
  requireAction(ctx, action)
  const viewer = requireViewer(ctx)
  const { dialect, read } = ctx.storage
  const rows = await read.all(
    `SELECT ${sessionColumns('s')}, p.role FROM participants p JOIN sessions s ON s.id = p.session_id
     WHERE p.user_id = ? AND ${dialect.isIn('p.session_id')}`,
    [viewer.id, dialect.list(sessionIds)],
  )
  const { rule } = rowOf(action)
  const may = rows.filter(({ role }) => rule[role as ParticipantRole] === 'yes')
  return new Map(may.map((row) => [row.id as string, sessionOf(row)]))
}

/**
 * The same, for someone who wants to do something with it.
 * @param unknown makes the error for whoever may not read it: the same as for what is not there, or it would tell
 * @throws `unknown`'s, by default NotFoundError; ForbiddenError where reading is all that the viewer may do
 */
export async function requireSession(
  ctx: Context,
  sessionId: string,
  action: Action,
  unknown = notFound,
): Promise<Access> {
  const access = await findAsParticipant(ctx, sessionId, action)
  if (!access) throw unknown()
  requireRole(access.role, action)
  return access
}

/**
 * Asks once more, in a transaction that has locked the session: nobody can take the right away before it is over.
 * @throws NotFoundError, ForbiddenError as `requireSession`
 */
export async function requireStill(tx: Sql, viewerId: string, sessionId: string, action: Action): Promise<void> {
  const [row] = await tx.all<{ role: ParticipantRole }>(
    `SELECT role FROM participants WHERE session_id = ? AND user_id = ?`,
    [sessionId, viewerId],
  )
  requireRole(row?.role, action)
}

/**
 * Asks, in a transaction that has already written a row of the viewer's, whether they are still there: whoever deletes their
 * account waits for it or is seen by it.
 * @throws UnauthenticatedError
 */
export async function requireAccount(tx: Sql, userId: string): Promise<void> {
  const deleted = await tx.all(`SELECT 1 FROM deleted_accounts WHERE user_id = ?`, [userId])
  if (deleted.length > 0) throw new UnauthenticatedError('The account was deleted.')
}

/**
 * Who asks by a token of their own: what a key does by itself must not outlive it, nor take away what is still needed.
 * @throws UnauthenticatedError, ForbiddenError for an API key
 */
export function requirePerson(ctx: Asking, why: string): UserRow {
  const viewer = requireViewer(ctx)
  if (ctx.scopes) throw new ForbiddenError(why)
  return viewer
}

/**
 * What the table says to someone in this role.
 * @param role undefined for who is no participant
 * @throws NotFoundError, ForbiddenError as `requireSession`
 */
export function requireRole(role: ParticipantRole | undefined, action: Action): void {
  if (!role) throw notFound()
  const { rule } = rowOf(action)
  if (rule[role] === 'yes') return
  if (role === 'OWNER')
    throw new ForbiddenError("An owner can't leave their session; hand it over first, or delete it.")
  throw new ForbiddenError(
    rule.MEMBER === 'yes'
      ? 'You may read this session, but not write in it.'
      : 'Only the owner of the session may do this.',
  )
}

const asParticipant = `SELECT ${sessionColumns('s')}, p.role FROM sessions s
  JOIN participants p ON p.session_id = s.id AND p.user_id = ? WHERE s.id = ?`

async function findAsParticipant(ctx: Context, sessionId: string, action: Action): Promise<Access | undefined> {
  requireAction(ctx, action)
  const viewer = requireViewer(ctx)
  if (!isUuid(sessionId)) return undefined
  const [row] = await ctx.storage.read.all(asParticipant, [viewer.id, sessionId.toLowerCase()])
  return row && { session: sessionOf(row), role: row.role as ParticipantRole }
}
