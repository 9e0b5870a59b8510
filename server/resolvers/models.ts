import type { Context } from '../context.ts'
import { requireViewer } from '../guards/access.ts'
import type { ModelEntry, ProviderEntry } from '../providers/registry.ts'

/** All models that can be asked now. */
export async function models(ctx: Context): Promise<ModelEntry[]> {
  requireViewer(ctx)
  return ctx.providers.models()
}

/** All configured providers. They are asked for their models first, so that their status is known. */
export async function providers(ctx: Context): Promise<ProviderEntry[]> {
  requireViewer(ctx)
  await ctx.providers.models()
  return ctx.providers.list()
}

/** The models of one provider; none while it does not answer. */
export async function modelsOf(ctx: Context, { name }: ProviderEntry): Promise<ModelEntry[]> {
  // the anonymous reach a provider by the server's default model
  requireViewer(ctx)
  return (await ctx.providers.models()).filter(({ provider }) => provider === name)
}
