import type { Context } from '../context.ts'
import { auditId } from '../guards/auditRows.ts'
import type { Tx } from '../storage/storage.ts'
import { insert } from '../storage/rows.ts'

export interface AuditedAction {
  /** Name of the mutation. */
  action: string
  sessionId?: string | null
  /** Id of what the action was done to, beside the session. */
  subjectId?: string | null
  /** `performance.now()` as the action began. */
  startedAt?: number
}

/**
 * Notes in the transaction of an action who did it and from where: the note is kept if and only if the action is. A
 * mutation that does not call it, or fails, is noted beside it, by schema/audited.ts.
 */
export async function audit(
  tx: Tx,
  ctx: Context,
  { action, sessionId, subjectId, startedAt }: AuditedAction,
): Promise<void> {
  const now = performance.now()
  await insert(tx, 'audit_entries', {
    ...auditId(),
    userId: ctx.viewer?.id ?? null,
    address: ctx.address,
    requestId: ctx.requestId,
    action,
    sessionId: sessionId ?? null,
    subjectId: subjectId ?? null,
    errorCode: null,
    durationMs: Math.round(now - (startedAt ?? now)),
  })
  tx.afterCommit(() => (ctx.trail.isNoted = true))
}
