import type { Context } from '../context.ts'
import { requireSession, requireViewer } from '../guards/access.ts'

/** Tells the others in a session whether the viewer types. */
export async function setTyping(
  ctx: Context,
  { sessionId, isTyping }: { sessionId: string; isTyping: boolean },
): Promise<{ isTyping: boolean }> {
  const viewer = requireViewer(ctx)
  const { session } = await requireSession(ctx, sessionId, 'setTyping')
  await ctx.limits.typing(viewer.id)
  ctx.presence.setTyping(session.id, viewer.id, isTyping)
  return { isTyping }
}
