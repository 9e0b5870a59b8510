import { randomUUIDv7 } from 'node:crypto'
import type { FinishReason } from '../entities/generation.ts'
import type { MessageStatus } from '../entities/message.ts'
import type { ErrorCode } from '../errors.ts'
import type { EventDraft } from '../log/event.ts'
import type { SessionLog } from '../log/sessionLog.ts'
import type { Storage, Tx } from '../storage/storage.ts'

export interface Outcome {
  status: Exclude<MessageStatus, 'PENDING' | 'STREAMING'>
  error: { code: ErrorCode; message: string } | null
  /** Null where it didn't complete, or the provider didn't say. */
  finishReason: FinishReason | null
  usage: { promptTokens: number; completionTokens: number; isEstimated: boolean }
  attempts: number
  timeToFirstTokenMs: number | null
}

export interface Ending {
  generationId: string
  /** Only who holds the generation under this number may end it. */
  fence: number
  sessionId: string
  messageId: string
  messageSeq: number
  userId: string
  /** Who answered: after a fallback another than was asked for. */
  model: string
  startedAt: Date
  /** The whole text, and how much of it is in the log already. */
  content: string
  storedLength: number
  outcome: Outcome
}

/**
 * Ends a generation, once, in one transaction: the last delta, the whole content, usage, status and `GenerationEnded`.
 * @returns false where someone else has ended it, and nothing was written
 */
export function finishGeneration(storage: Storage, log: SessionLog, ending: Ending): Promise<boolean> {
  return storage.transaction((tx) => finishIn(tx, log, ending))
}

export async function finishIn(tx: Tx, log: SessionLog, ending: Ending): Promise<boolean> {
  const { outcome, sessionId, messageId } = ending
  const now = new Date()
  const ended = await tx.run(
    `UPDATE generations SET model = ?, status = ?, error_code = ?, error_message = ?, finish_reason = ?, attempts = ?,
       time_to_first_token_ms = coalesce(time_to_first_token_ms, ?), response_time_ms = ?, ended_at = ?
     WHERE id = ? AND fence = ? AND ended_at IS NULL`,
    [
      ending.model,
      outcome.status,
      outcome.error?.code ?? null,
      outcome.error?.message ?? null,
      outcome.finishReason,
      outcome.attempts,
      outcome.timeToFirstTokenMs,
      now.getTime() - ending.startedAt.getTime(),
      now,
      ending.generationId,
      ending.fence,
    ],
  )
  if (ended === 0) return false
  const drafts: EventDraft[] = []
  if (ending.storedLength < ending.content.length)
    drafts.push({
      kind: 'MessageDelta',
      delta: {
        messageId,
        messageSeq: ending.messageSeq,
        offset: ending.storedLength,
        text: ending.content.slice(ending.storedLength),
      },
    })
  drafts.push({ kind: 'GenerationEnded', subjectId: ending.generationId })
  const events = await log.append(tx, sessionId, drafts)
  await tx.run(`UPDATE messages SET content = ?, content_seq = ?, model = ?, status = ?, updated_at = ? WHERE id = ?`, [
    ending.content,
    events.at(-1)!.seq,
    ending.model,
    outcome.status,
    now,
    messageId,
  ])
  await tx.run(
    `INSERT INTO usage_records (id, generation_id, session_id, user_id, model, prompt_tokens, completion_tokens, is_estimated, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    [
      randomUUIDv7(),
      ending.generationId,
      sessionId,
      ending.userId,
      ending.model,
      storedTokens(outcome.usage.promptTokens),
      storedTokens(outcome.usage.completionTokens),
      outcome.usage.isEstimated,
      now,
    ],
  )
  await tx.run(`UPDATE sessions SET last_active_at = ?, updated_at = ? WHERE id = ?`, [now, now, sessionId])
  return true
}

/** The columns hold 32 bits; a provider may say any number, and its answer must end all the same. */
const storedTokens = (tokens: number): number => Math.min(tokens, 2 ** 31 - 1)
