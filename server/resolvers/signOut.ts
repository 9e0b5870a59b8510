import type { Context } from '../context.ts'
import { requireViewer } from '../guards/access.ts'
import type { UserRow } from '../storage/rows.ts'
import { audit } from './audit.ts'

/** Ends the token or API key that this is asked with, and all that is open by it, on every node. */
export async function signOut(ctx: Context): Promise<{ user: UserRow }> {
  const startedAt = performance.now()
  const user = requireViewer(ctx)
  const { id } = ctx.credential!
  await ctx.storage.transaction(async (tx) => {
    if (ctx.scopes)
      await tx.run(`UPDATE api_keys SET revoked_at = ? WHERE key_hash = ? AND revoked_at IS NULL`, [new Date(), id])
    await ctx.identity.revoke(tx, id, ctx.expiresAt!)
    await audit(tx, ctx, { action: 'signOut', subjectId: user.id, startedAt })
  })
  if (ctx.tokenCookie?.isUsed) ctx.tokenCookie.clear()
  return { user }
}
