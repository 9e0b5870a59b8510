import { randomUUID } from 'node:crypto'
import type { Context } from '../context.ts'
import { ForbiddenError, InvalidInputError, NotFoundError, UnauthenticatedError } from '../errors.ts'
import { requirePerson, requireViewer } from '../guards/access.ts'
import type { UserRow } from '../storage/rows.ts'
import { audit } from './audit.ts'
import { deleteOwnSessions } from './deleteSessions.ts'
import { takeOut } from './participants.ts'
import { parse } from './validation.ts'
import { nameSchema, viewer as viewerNow } from './viewer.ts'

/** What is left to stand beside the words of who deleted their account. */
const nobody = 'Deleted user'

/** Names the viewer anew, and tells those who follow a session of theirs. */
export async function updateViewer(ctx: Context, input: { name: string }): Promise<{ viewer: UserRow }> {
  const startedAt = performance.now()
  const viewer = requireViewer(ctx)
  const { name } = parse(nameSchema, input)
  await ctx.storage.transaction(async (tx) => {
    const changed = await tx.run(
      `UPDATE users SET name = ?, is_name_chosen = ?
       WHERE id = ? AND NOT EXISTS (SELECT 1 FROM deleted_accounts d WHERE d.user_id = users.id)`,
      [name, true, viewer.id],
    )
    if (changed === 0) throw new UnauthenticatedError('The account was deleted.')
    await audit(tx, ctx, { action: 'updateViewer', subjectId: viewer.id, startedAt })
    tx.afterCommit(() => ctx.presence.renamed(viewer.id))
  })
  ctx.viewer = { ...viewer, name, isNameChosen: true }
  return { viewer: ctx.viewer }
}

/**
 * Deletes the viewer's account: first their own sessions, then their part in others', at last all that lets them in. What
 * they said in others' sessions stays, without their name. Where it breaks off, the account is still there to try again.
 * @throws InvalidInputError where the name is not the account's, ForbiddenError for an API key
 */
export async function deleteViewer(ctx: Context, input: { name: string }): Promise<{ userId: string }> {
  const startedAt = performance.now()
  requirePerson(ctx, 'An API key deletes no account. Use a token of your own.')
  const { id, name } = (await viewerNow(ctx))!
  if (input.name.trim() !== name.trim())
    throw new InvalidInputError([{ path: ['name'], message: 'Must be the name of your account, to be sure.' }])
  do {
    await deleteOwnSessions(ctx, id, startedAt)
    await leaveAll(ctx, id, startedAt)
    // a session that was made, joined or taken over meanwhile goes as well
  } while (!(await endAccount(ctx, id, startedAt)))
  if (ctx.tokenCookie?.isUsed) ctx.tokenCookie.clear()
  return { userId: id }
}

async function leaveAll(ctx: Context, userId: string, startedAt: number): Promise<void> {
  const rows = await ctx.storage.read.all<{ sessionId: string }>(
    `SELECT session_id AS "sessionId" FROM participants WHERE user_id = ? AND role <> 'OWNER'`,
    [userId],
  )
  for (const { sessionId } of rows)
    await ctx.storage
      .transaction(async (tx) => {
        await takeOut(tx, ctx, sessionId, userId, 'leaveSession')
        await audit(tx, ctx, { action: 'deleteViewer', sessionId, subjectId: userId, startedAt })
      })
      .catch((error: unknown) => {
        // they left it, were removed from it or own it since, or it is gone
        if (!(error instanceof NotFoundError || error instanceof ForbiddenError)) throw error
      })
}

/** @returns whether it was done: it is not while they take part in anything */
async function endAccount(ctx: Context, id: string, startedAt: number): Promise<boolean> {
  return ctx.storage.transaction(async (tx) => {
    // whoever makes them a participant holds on to this row, and must be seen here
    const [user] = await tx.all<{ subject: string }>(
      `SELECT subject FROM users WHERE id = ? ${ctx.storage.dialect.forUpdate}`,
      [id],
    )
    if ((await tx.all(`SELECT 1 FROM participants WHERE user_id = ? LIMIT 1`, [id])).length > 0) return false
    // another call was faster
    if ((await tx.all(`SELECT 1 FROM deleted_accounts WHERE user_id = ?`, [id])).length > 0) return true
    // a subject that no token can name, as nobody can guess it
    await tx.run(
      `UPDATE users SET name = ?, subject = ?, is_name_chosen = ?, is_admin = ?, last_seen_at = NULL WHERE id = ?`,
      [nobody, `deleted ${randomUUID()}`, true, false, id],
    )
    await tx.run(`UPDATE api_keys SET revoked_at = ? WHERE user_id = ? AND revoked_at IS NULL`, [new Date(), id])
    await audit(tx, ctx, { action: 'deleteViewer', subjectId: id, startedAt })
    await ctx.identity.endAccount(tx, { id, subject: user!.subject })
    return true
  })
}
