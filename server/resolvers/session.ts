import type { Context } from '../context.ts'
import type { ParticipantRole } from '../entities/participant.ts'
import { findSession, notFound, requireViewer } from '../guards/access.ts'
import { NotFoundError } from '../errors.ts'
import type { Tx } from '../storage/storage.ts'
import type { SessionRow } from '../storage/rows.ts'

/** A session that the viewer may read; null for any other id. */
export async function session(ctx: Context, { id }: { id: string }): Promise<SessionRow | null> {
  return (await findSession(ctx, id, 'session'))?.session ?? null
}

/**
 * What the viewer is in a session.
 * @param atLastSeq as of the moment that `lastSeq` is asked for
 * @throws NotFoundError where they no longer take part in it
 */
export async function viewerRole(
  ctx: Context,
  { id }: SessionRow,
  { atLastSeq }: { atLastSeq: boolean },
): Promise<ParticipantRole> {
  const viewer = requireViewer(ctx)
  const participant = atLastSeq
    ? (await ctx.loaders.participantsAtLastSeq(id)).find(({ userId }) => userId === viewer.id)
    : await ctx.loaders.participant(id, viewer.id)
  if (!participant) throw notFound()
  return participant.role
}

/**
 * The model that is wanted, else the server's default.
 * @throws NotFoundError where there is no such model
 */
export async function pickModel(ctx: Context, wanted: string | null | undefined): Promise<string> {
  if (wanted == null) return ctx.providers.defaultModel()
  if (await ctx.providers.resolve(wanted)) return wanted
  throw new NotFoundError(`There is no model "${wanted}"; the query \`models\` lists those that there are.`)
}

/**
 * Makes all other changes of a session, also on other nodes, wait until this transaction is over. Whoever changes a
 * session takes this lock before any row of it: in any other order two changes could wait for each other for ever.
 * @returns the position of its newest event
 * @throws NotFoundError where the session was deleted meanwhile
 */
export async function lockSession(tx: Tx, ctx: Context, sessionId: string): Promise<{ lastSeq: number }> {
  const [log] = await tx.all<{ lastSeq: number }>(
    `SELECT last_seq AS "lastSeq" FROM session_logs WHERE session_id = ? ${ctx.storage.dialect.forUpdate}`,
    [sessionId],
  )
  if (!log) throw new NotFoundError('The session was deleted meanwhile.')
  return log
}
