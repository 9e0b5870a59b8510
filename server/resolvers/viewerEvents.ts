import type { Context } from '../context.ts'
import { findSession, requireViewer } from '../guards/access.ts'
import type { Tx } from '../storage/storage.ts'
import type { ViewerChange } from '../topics.ts'
import type { SessionRow } from '../storage/rows.ts'

export type ViewerEvent =
  | { kind: 'SessionListed' | 'SessionChanged'; sessionId: string; session: SessionRow }
  | { kind: 'SessionUnlisted'; sessionId: string; session: null }

/** Tells the lists of all participants of a session, once the transaction is committed. */
export async function tellViewers(
  tx: Tx,
  ctx: Pick<Context, 'bus'>,
  sessionId: string,
  kind: ViewerChange['kind'],
  { except }: { except?: string } = {},
): Promise<void> {
  const rows = await tx.all<{ userId: string }>(`SELECT user_id AS "userId" FROM participants WHERE session_id = ?`, [
    sessionId,
  ])
  for (const { userId } of rows) if (userId !== except) tellViewer(tx, ctx, userId, { kind, sessionId })
}

/** Tells one person's list, once the transaction is committed. */
export function tellViewer(tx: Tx, ctx: Pick<Context, 'bus'>, userId: string, change: ViewerChange): void {
  tx.afterCommit(() => ctx.bus.publish('viewer', userId, change))
}

/**
 * What changes in the viewer's list of sessions, from now on. Changes that a slow reader has not taken yet are joined,
 * one for each session, so that nothing piles up.
 */
export async function viewerEvents(ctx: Context): Promise<AsyncIterableIterator<ViewerEvent>> {
  const viewer = requireViewer(ctx)
  const pending = new Map<string, ViewerChange['kind']>()
  let wake: (() => void) | undefined
  let isOver = false

  const unsubscribe = await ctx.bus.subscribe('viewer', viewer.id, ({ kind, sessionId }) => {
    // whoever has not heard yet that the session was listed learns the change by that
    if (!(kind === 'SessionChanged' && pending.get(sessionId) === 'SessionListed')) pending.set(sessionId, kind)
    wake?.()
  })

  const read = async (): Promise<IteratorResult<ViewerEvent>> => {
    while (!isOver) {
      const [first] = pending
      if (!first) {
        await new Promise<void>((resolve) => (wake = resolve))
        continue
      }
      const [sessionId, kind] = first
      pending.delete(sessionId)
      if (kind === 'SessionUnlisted') return { done: false, value: { kind, sessionId, session: null } }
      const found = await findSession(ctx, sessionId, 'viewerEvents')
      // deleted or left meanwhile: that is told by a change of its own
      if (found && !isOver) return { done: false, value: { kind, sessionId, session: found.session } }
    }
    return { done: true, value: undefined }
  }

  // Not a generator: `return` must end a `next` that waits, and must unsubscribe even where nobody ever called `next`.
  let last: Promise<unknown> = Promise.resolve()
  const iterator: AsyncIterableIterator<ViewerEvent> = {
    next() {
      const result = last.then(read)
      last = result.catch(() => undefined)
      return result
    },
    async return() {
      isOver = true
      unsubscribe()
      wake?.()
      return { done: true, value: undefined }
    },
    [Symbol.asyncIterator]: () => iterator,
  }
  return iterator
}
