import { z } from 'zod'
import type { Context } from '../context.ts'
import { errorCodes, type ErrorCode } from '../errors.ts'
import { requireAction, requireSession, requireViewer } from '../guards/access.ts'
import { firstAuditId } from '../guards/auditRows.ts'
import { auditColumns, auditOf, limited, type AuditRow, type UserRow } from '../storage/rows.ts'
import type { Param } from '../storage/storage.ts'
import { connect, parsePage, type Connection } from './connection.ts'
import { clientId, isUuid, parse, text } from './validation.ts'

const time = z.iso
  .datetime({ offset: true, error: 'Must be a moment in ISO 8601, e.g. 2026-11-20T12:00:00.000Z.' })
  .transform((value) => new Date(value))

const filterSchema = z.object({
  userId: clientId.nullish(),
  sessionId: clientId.nullish(),
  action: text(1, 100).nullish(),
  outcome: z.enum(['SUCCEEDED', 'FAILED']).nullish(),
  errorCode: z.enum(errorCodes).nullish(),
  from: time.nullish(),
  to: time.nullish(),
})

export interface AuditFilter {
  userId?: string | null
  sessionId?: string | null
  action?: string | null
  outcome?: 'SUCCEEDED' | 'FAILED' | null
  errorCode?: ErrorCode | null
  from?: unknown
  to?: unknown
}

export interface AuditLogArgs {
  filter?: AuditFilter | null
  first?: number | null
  after?: string | null
}

/** What was done and refused, newest first: all of it for admins, what concerns their session for its owner. */
export async function auditLog(ctx: Context, { filter, ...args }: AuditLogArgs): Promise<Connection<AuditRow>> {
  const since = await requireAudit(ctx, filter?.sessionId)
  const page = parsePage(args, (key) => (isUuid(key) ? key : undefined))
  const { sql, params } = conditions(parse(z.object({ filter: filterSchema }), { filter: filter ?? {} }).filter, since)
  // what this node has noted and not stored yet
  await ctx.audit.flush()
  const { read } = ctx.storage
  const rows = await read.all(
    `SELECT ${auditColumns('a')} FROM audit_entries a WHERE ${page.after ? `${sql} AND id < ?` : sql} ORDER BY id DESC ${limited}`,
    [...params, ...(page.after ? [page.after] : []), page.limit + 1],
  )
  return connect(
    rows.map(auditOf),
    page,
    ({ id }) => id,
    async () => {
      const [count] = await read.all<{ n: number | string }>(
        `SELECT count(*) AS n FROM audit_entries WHERE ${sql}`,
        params,
      )
      return Number(count!.n)
    },
  )
}

/**
 * From when on the viewer may read; null for always. Entries of a session outlive it, and whoever makes another one under
 * its id has no business with them.
 * @throws ForbiddenError, NotFoundError, UnauthenticatedError
 */
async function requireAudit(ctx: Context, sessionId: string | null | undefined): Promise<Date | null> {
  if (maySeeAll(ctx)) return null
  if (sessionId == null) {
    requireAction(ctx, 'auditLog(all)')
    return null
  }
  return (await requireSession(ctx, sessionId, 'auditLog')).session.createdAt
}

const maySeeAll = (ctx: Context): boolean => requireViewer(ctx).isAdmin && (!ctx.scopes || ctx.scopes.includes('admin'))

function conditions(filter: z.infer<typeof filterSchema>, since: Date | null): { sql: string; params: Param[] } {
  const { userId, sessionId, action, outcome, errorCode, from, to } = filter
  const found = ['true']
  const params: Param[] = []
  const where = (condition: string, ...values: Param[]): void => {
    found.push(condition)
    params.push(...values)
  }
  if (since != null) where('id >= ?', firstAuditId(since))
  if (userId != null) where('user_id = ?', userId)
  if (sessionId != null) where('session_id = ?', sessionId)
  if (action != null) where('action = ?', action)
  // says that the index of all other actions will do
  if (action != null && action !== 'sendMessage') where(`action <> 'sendMessage'`)
  if (outcome === 'SUCCEEDED') where('error_code IS NULL')
  if (outcome === 'FAILED') where('error_code IS NOT NULL')
  if (errorCode != null) where('error_code = ?', errorCode)
  if (from != null) where('id >= ?', firstAuditId(from))
  if (to != null) where('id < ?', firstAuditId(to))
  return { sql: found.join(' AND '), params }
}

/** From where: for admins, and of the viewer's own entries. An owner need not learn where the others are. */
export const auditedAddress = (ctx: Context, { userId, address }: AuditRow): string | null =>
  maySeeAll(ctx) || userId === ctx.viewer!.id ? address : null

/** Who: for an owner, only of those who take part in the session. */
export async function auditedUser(ctx: Context, { userId, sessionId }: AuditRow): Promise<UserRow | null> {
  if (userId === null) return null
  if (maySeeAll(ctx) || userId === ctx.viewer!.id) return ctx.loaders.user.load(userId)
  const participants = sessionId === null ? [] : await ctx.loaders.participants.load(sessionId)
  return participants.some((participant) => participant.userId === userId) ? ctx.loaders.user.load(userId) : null
}
