import type { Context } from '../context.ts'
import type { ParticipantRole } from '../entities/participant.ts'
import { ForbiddenError, InvalidInputError, NotFoundError } from '../errors.ts'
import { requireSession, requireStill, requireViewer } from '../guards/access.ts'
import type { SessionEvent } from '../log/event.ts'
import type { Tx } from '../storage/storage.ts'
import { audit } from './audit.ts'
import {
  participantColumns,
  participantOf,
  sessionColumns,
  sessionOf,
  type ParticipantRow,
  type SessionRow,
} from '../storage/rows.ts'
import { lockSession } from './session.ts'
import { isUuid } from './validation.ts'
import { tellViewer, tellViewers } from './viewerEvents.ts'

/** Takes the viewer out of a session that they joined. */
export async function leaveSession(ctx: Context, input: { sessionId: string }): Promise<{ sessionId: string }> {
  const startedAt = performance.now()
  const viewer = requireViewer(ctx)
  const { session } = await requireSession(ctx, input.sessionId, 'leaveSession')
  await ctx.storage.transaction(async (tx) => {
    await takeOut(tx, ctx, session.id, viewer.id, 'leaveSession')
    await audit(tx, ctx, { action: 'leaveSession', sessionId: session.id, subjectId: viewer.id, startedAt })
  })
  return { sessionId: session.id }
}

/** Takes someone else out of the viewer's own session. */
export async function removeParticipant(
  ctx: Context,
  input: { sessionId: string; userId: string },
): Promise<{ session: SessionRow }> {
  const startedAt = performance.now()
  const viewer = requireViewer(ctx)
  const { session } = await requireSession(ctx, input.sessionId, 'removeParticipant')
  const userId = participantId(input.userId)
  if (userId === viewer.id)
    throw new ForbiddenError("An owner can't be removed from their session; hand it over, or delete it.")
  await ctx.storage.transaction(async (tx) => {
    await decided(tx, session.id, userId, await takeOut(tx, ctx, session.id, userId, 'removeParticipant'))
    await audit(tx, ctx, { action: 'removeParticipant', sessionId: session.id, subjectId: userId, startedAt })
  })
  return { session }
}

/** Gives a participant of the viewer's own session another role. */
export async function changeParticipantRole(
  ctx: Context,
  input: { sessionId: string; userId: string; role: ParticipantRole },
): Promise<{ participant: ParticipantRow }> {
  const startedAt = performance.now()
  const viewer = requireViewer(ctx)
  const { session } = await requireSession(ctx, input.sessionId, 'changeParticipantRole')
  const { role } = input
  if (role === 'OWNER') {
    throw new InvalidInputError([{ path: ['role'], message: 'Must be MEMBER or VIEWER: a session has one owner.' }])
  }
  const userId = participantId(input.userId)
  if (userId === viewer.id) throw new ForbiddenError("An owner's role can't be changed.")
  return ctx.storage.transaction(async (tx) => {
    await lockSession(tx, ctx, session.id)
    await requireStill(tx, viewer.id, session.id, 'changeParticipantRole')
    const before = await read(tx, session.id, userId)
    if (before.role === role) return { participant: before }
    await giveRole(tx, session.id, userId, role)
    const [event] = await ctx.log.append(tx, session.id, [{ kind: 'ParticipantChanged', subjectId: userId, role }])
    await decided(tx, session.id, userId, event!)
    await audit(tx, ctx, { action: 'changeParticipantRole', sessionId: session.id, subjectId: userId, startedAt })
    await tellViewers(tx, ctx, session.id, 'SessionChanged')
    return { participant: { ...before, role } }
  })
}

/** Makes another participant the owner of the viewer's own session, and a member of the viewer. */
export async function transferSession(
  ctx: Context,
  input: { sessionId: string; userId: string },
): Promise<{ session: SessionRow }> {
  const startedAt = performance.now()
  const viewer = requireViewer(ctx)
  const { session } = await requireSession(ctx, input.sessionId, 'transferSession')
  const userId = participantId(input.userId)
  if (userId === viewer.id) throw new InvalidInputError([{ path: ['userId'], message: 'Must be somebody else.' }])
  return ctx.storage.transaction(async (tx) => {
    await lockSession(tx, ctx, session.id)
    await requireStill(tx, viewer.id, session.id, 'transferSession')
    await read(tx, session.id, userId)
    const updatedAt = new Date()
    // in this order: a session has one owner at most
    await giveRole(tx, session.id, viewer.id, 'MEMBER')
    await giveRole(tx, session.id, userId, 'OWNER')
    await tx.run(`UPDATE sessions SET owner_id = ?, updated_at = ? WHERE id = ?`, [userId, updatedAt, session.id])
    await ctx.log.append(tx, session.id, [
      { kind: 'ParticipantChanged', subjectId: viewer.id, role: 'MEMBER' },
      { kind: 'ParticipantChanged', subjectId: userId, role: 'OWNER' },
      { kind: 'SessionUpdated' },
    ])
    await audit(tx, ctx, { action: 'transferSession', sessionId: session.id, subjectId: userId, startedAt })
    await tellViewers(tx, ctx, session.id, 'SessionChanged')
    const [row] = await tx.all(`SELECT ${sessionColumns('s')} FROM sessions s WHERE s.id = ?`, [session.id])
    return { session: sessionOf(row!) }
  })
}

const giveRole = (tx: Tx, sessionId: string, userId: string, role: ParticipantRole): Promise<number> =>
  tx.run(`UPDATE participants SET role = ? WHERE session_id = ? AND user_id = ?`, [role, sessionId, userId])

const unknown = () => new NotFoundError('There is no such participant in this session.')

function participantId(id: string): string {
  if (!isUuid(id)) throw unknown()
  return id.toLowerCase()
}

async function read(tx: Tx, sessionId: string, userId: string): Promise<ParticipantRow> {
  const [row] = await tx.all(
    `SELECT ${participantColumns('p')} FROM participants p WHERE p.session_id = ? AND p.user_id = ?`,
    [sessionId, userId],
  )
  if (!row) throw unknown()
  return participantOf(row)
}

/**
 * Takes someone out of a session, by the viewer's right to do `action`, which is asked for once more: they may have become
 * its owner, or be it no longer.
 */
export async function takeOut(
  tx: Tx,
  ctx: Context,
  sessionId: string,
  userId: string,
  action: 'leaveSession' | 'removeParticipant',
): Promise<SessionEvent> {
  await lockSession(tx, ctx, sessionId)
  await requireStill(tx, ctx.viewer!.id, sessionId, action)
  const left = await tx.run(`DELETE FROM participants WHERE session_id = ? AND user_id = ?`, [sessionId, userId])
  if (left === 0) throw unknown()
  const [event] = await ctx.log.append(tx, sessionId, [{ kind: 'ParticipantLeft', subjectId: userId }])
  tellViewer(tx, ctx, userId, { kind: 'SessionUnlisted', sessionId })
  await tellViewers(tx, ctx, sessionId, 'SessionChanged')
  return event!
}

/** Notes the owner's word on somebody, so that no older invitation undoes it. */
async function decided(tx: Tx, sessionId: string, userId: string, { seq }: SessionEvent): Promise<void> {
  await tx.run(
    `INSERT INTO owner_decisions (session_id, user_id, seq) VALUES (?, ?, ?)
     ON CONFLICT (session_id, user_id) DO UPDATE SET seq = excluded.seq`,
    [sessionId, userId, seq],
  )
}
