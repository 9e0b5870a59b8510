import type { MessageRole } from '../entities/message.ts'
import type { GenerationSettings } from '../entities/session.ts'
import { ProviderError, type ChatMessage } from '../providers/provider.ts'
import type { Storage } from '../storage/storage.ts'

/** Estimate for where a provider reports no count, and for what fits into a window. */
export const charactersPerToken = 4
export const estimateTokens = (characters: number): number => Math.ceil(characters / charactersPerToken)

export interface PromptOptions {
  /** The message that the answer follows. */
  messageId: string
  settings: GenerationSettings
  /** Tokens that the model can hold, prompt and answer together. */
  contextWindow: number
}

/**
 * The path of parents from a message to the root, oldest first, the system prompt before it. The oldest messages are left
 * out when the model's window would be passed.
 * @throws ProviderError with CONTEXT_TOO_LONG where not even the newest message fits
 */
export async function buildPrompt(storage: Storage, options: PromptOptions): Promise<ChatMessage[]> {
  const { settings, contextWindow } = options
  const systemPrompt = settings.systemPrompt ?? ''
  const reserved = Math.min(settings.maxTokens ?? contextWindow / 4, contextWindow / 2)
  const budget = Math.floor((contextWindow - reserved) * charactersPerToken) - systemPrompt.length
  const path = await readPath(storage, options.messageId, budget)
  const kept: ChatMessage[] = []
  let used = 0
  for (const { role, content } of path) {
    used += content.length
    if (used > budget) break
    kept.unshift({ role: role.toLowerCase() as ChatMessage['role'], content })
  }
  if (kept.length === 0)
    throw new ProviderError(
      'CONTEXT_TOO_LONG',
      `The message and the system prompt are longer than this model's window of ${contextWindow} tokens. Shorten them, or choose a model with a larger window.`,
      { retryable: false },
    )
  return systemPrompt ? [{ role: 'system', content: systemPrompt }, ...kept] : kept
}

/** Messages with text from the newest up, as many as `budget` characters need and one more. */
async function readPath(
  storage: Storage,
  messageId: string,
  budget: number,
): Promise<{ role: MessageRole; content: string }[]> {
  return storage.read.all(
    `WITH RECURSIVE path (id, parent_id, total, depth) AS (
       SELECT id, parent_id, length(content), 0 FROM messages WHERE id = ?
       UNION ALL
       SELECT messages.id, messages.parent_id, path.total + length(messages.content), path.depth + 1
       FROM path JOIN messages ON messages.id = path.parent_id WHERE path.total <= ?
     )
     SELECT messages.role, ${storedText(storage)} AS content
     FROM path JOIN messages ON messages.id = path.id
     WHERE messages.content <> '' OR messages.status = 'STREAMING' ORDER BY path.depth`,
    [messageId, Math.max(budget, 0)],
  )
}

/** SQL for a message's text: its content, and while it streams also the deltas beyond that. */
export function storedText({ dialect }: Pick<Storage, 'dialect'>): string {
  const logId = '(SELECT log_id FROM session_logs WHERE session_id = messages.session_id)'
  return `CASE WHEN messages.status IN ('PENDING', 'STREAMING') THEN messages.content || coalesce((
     SELECT ${dialect.concatenate('e.data', 'e.seq')} FROM session_events e
     WHERE e.log_id = ${logId} AND e.seq > messages.content_seq AND e.message_seq = messages.seq
   ), '') || ${dialect.journaledText(logId, 'messages.seq', 'messages.content_seq')} ELSE messages.content END`
}
