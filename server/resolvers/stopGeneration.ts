import type { Context } from '../context.ts'
import type { Generation } from '../entities/generation.ts'
import { NotFoundError } from '../errors.ts'
import { requireSession, requireViewer } from '../guards/access.ts'
import { isUuid } from './validation.ts'

/** Stops a generation, for whoever may write in its session; one that has ended is returned as it is. */
export async function stopGeneration(ctx: Context, input: { generationId: string }): Promise<Generation> {
  requireViewer(ctx)
  const unknown = (): NotFoundError => new NotFoundError('There is no such generation, or you may not see it.')
  if (!isUuid(input.generationId)) throw unknown()
  const generation = await ctx.loaders.generation.load(input.generationId.toLowerCase())
  if (!generation) throw unknown()
  ctx.trail.sessionId = generation.sessionId
  await requireSession(ctx, generation.sessionId, 'stopGeneration', unknown)
  await ctx.generations.stop(generation.id)
  ctx.loaders.generation.clear(generation.id)
  return (await ctx.loaders.generation.load(generation.id)) ?? generation
}
