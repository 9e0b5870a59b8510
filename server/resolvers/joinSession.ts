import type { Context } from '../context.ts'
import type { ParticipantRole } from '../entities/participant.ts'
import { ForbiddenError, NotFoundError } from '../errors.ts'
import { requireAccount, requireSession, requireViewer } from '../guards/access.ts'
import { toDate, type Tx } from '../storage/storage.ts'
import { audit } from './audit.ts'
import { hashInvitation } from './inviteToSession.ts'
import { insert, type SessionRow } from '../storage/rows.ts'
import { lockSession } from './session.ts'
import { tellViewer, tellViewers } from './viewerEvents.ts'

interface Invitation {
  id: string
  sessionId: string
  role: 'MEMBER' | 'VIEWER'
  expiresAt: number | Date
  seq: number
}

const rank: Record<ParticipantRole, number> = { VIEWER: 1, MEMBER: 2, OWNER: 3 }

/**
 * Makes the viewer a participant by an invitation. Who is one already keeps the higher of the two roles; a use is
 * counted only where something changes. Whom the owner has removed, or given a role, needs a newer invitation than that.
 * @throws ForbiddenError for a token that is wrong, expired, used up or too old
 */
export async function joinSession(ctx: Context, { token }: { token: string }): Promise<{ session: SessionRow }> {
  const startedAt = performance.now()
  const viewer = requireViewer(ctx)
  await ctx.limits.invitation(ctx.address)
  const invitation = await find(ctx, token)
  if (!invitation) {
    await ctx.limits.wrongInvitation(ctx.address)
    throw refused()
  }
  try {
    await ctx.storage.transaction((tx) => join(tx, ctx, invitation, viewer.id, startedAt))
  } catch (error) {
    // of a session that was deleted meanwhile nothing may be told
    throw error instanceof NotFoundError ? refused() : error
  }
  const { session } = await requireSession(ctx, invitation.sessionId, 'joinSession')
  return { session }
}

const refused = () => new ForbiddenError('This invitation is not valid, has expired or is used up. Ask for a new one.')

async function find(ctx: Context, token: string): Promise<Invitation | undefined> {
  const [invitation] = await ctx.storage.read.all<Invitation & { [column: string]: unknown }>(
    `SELECT id, session_id AS "sessionId", role, expires_at AS "expiresAt", seq FROM invitations WHERE token_hash = ?`,
    [hashInvitation(token)],
  )
  return invitation && toDate(invitation.expiresAt) > new Date() ? invitation : undefined
}

async function isOutdated(tx: Tx, { sessionId, seq }: Invitation, userId: string): Promise<boolean> {
  const decisions = await tx.all(`SELECT seq FROM owner_decisions WHERE session_id = ? AND user_id = ? AND seq > ?`, [
    sessionId,
    userId,
    seq,
  ])
  return decisions.length > 0
}

async function join(tx: Tx, ctx: Context, invitation: Invitation, userId: string, startedAt: number): Promise<void> {
  const { sessionId, role } = invitation
  await lockSession(tx, ctx, sessionId)
  const [before] = await tx.all<{ role: ParticipantRole }>(
    `SELECT role FROM participants WHERE session_id = ? AND user_id = ?`,
    [sessionId, userId],
  )
  if (before && rank[before.role] >= rank[role]) return
  if (await isOutdated(tx, invitation, userId)) {
    if (before) return
    throw refused()
  }
  const used = await tx.run(
    `UPDATE invitations SET uses = uses + 1 WHERE id = ? AND (max_uses IS NULL OR uses < max_uses)`,
    [invitation.id],
  )
  if (used === 0) throw refused()
  if (before) {
    await tx.run(`UPDATE participants SET role = ? WHERE session_id = ? AND user_id = ?`, [role, sessionId, userId])
  } else {
    await insert(tx, 'participants', { sessionId, userId, role, joinedAt: new Date() })
    await requireAccount(tx, userId)
  }
  const kind = before ? 'ParticipantChanged' : 'ParticipantJoined'
  await ctx.log.append(tx, sessionId, [{ kind, subjectId: userId, role }])
  await audit(tx, ctx, { action: 'joinSession', sessionId, subjectId: userId, startedAt })
  tellViewer(tx, ctx, userId, { kind: before ? 'SessionChanged' : 'SessionListed', sessionId })
  await tellViewers(tx, ctx, sessionId, 'SessionChanged', { except: userId })
}
