import type { GenerationSettings } from '../entities/session.ts'
import type { ChatMessage } from '../providers/provider.ts'
import type { Providers } from '../providers/registry.ts'
import type { Storage } from '../storage/storage.ts'
import type { Outcome } from './finish.ts'
import { buildPrompt, estimateTokens } from './prompt.ts'

export interface PromptParts {
  storage: Storage
  providers: Pick<Providers, 'find'>
  /** Tokens, for models whose window is unknown. */
  contextWindow: number
}

/** What the model of a generation is shown; rejects as `buildPrompt` does. */
export const promptOf = (
  { storage, providers, contextWindow }: PromptParts,
  { parentId, model, settings }: { parentId: string; model: string; settings: GenerationSettings },
): Promise<ChatMessage[]> =>
  buildPrompt(storage, {
    messageId: parentId,
    settings,
    contextWindow: providers.find(model).contextWindow ?? contextWindow,
  })

export const charactersOf = (prompt: readonly ChatMessage[]): number =>
  prompt.reduce((sum, { content }) => sum + content.length, 0)

/** For where the provider reported none; a prompt that was shown to no provider cost nothing. */
export const estimateUsage = (of: {
  attempts: number
  promptCharacters: number
  content: string
}): Outcome['usage'] => ({
  promptTokens: of.attempts === 0 ? 0 : estimateTokens(of.promptCharacters),
  completionTokens: estimateTokens(of.content.length),
  isEstimated: true,
})
