import type { GenerationSettings } from '../entities/session.ts'
import type { SessionLog } from '../log/sessionLog.ts'
import { ProviderError } from '../providers/provider.ts'
import { toDate, toJson } from '../storage/storage.ts'
import { finishIn } from './finish.ts'
import { storedText } from './prompt.ts'
import { charactersOf, estimateUsage, promptOf, type PromptParts } from './usage.ts'

interface Candidate {
  id: string
  parentId: string
  model: string
  settings: unknown
}

interface LostRow {
  id: string
  fence: number
  sessionId: string
  messageId: string
  userId: string
  model: string
  attempts: number
  startedAt: Date | number
  messageSeq: number
  content: string
}

export interface ReapParts extends PromptParts {
  log: SessionLog
}

/**
 * Ends, as INTERRUPTED and with all that was stored, the generations whose lease has run out by the database's clock;
 * where `anyLeaseBut` is given, instead, those of every other node than that, whatever their lease.
 * @returns how many it ended
 */
export async function reap(parts: ReapParts, { anyLeaseBut }: { anyLeaseBut?: string } = {}): Promise<number> {
  const { storage, log } = parts
  const isLost = anyLeaseBut === undefined ? `lease_until < ${storage.dialect.now}` : 'owner_node <> ?'
  const lost = anyLeaseBut === undefined ? [] : [anyLeaseBut]
  const candidates = await storage.read.all<Candidate>(
    `SELECT g.id, messages.parent_id AS "parentId", g.model, g.settings
     FROM generations g JOIN messages ON messages.id = g.message_id WHERE g.ended_at IS NULL AND ${isLost}`,
    lost,
  )
  let count = 0
  for (const candidate of candidates) {
    const { id } = candidate
    const promptCharacters = await promptCharactersOf(parts, candidate)
    const isReaped = await storage.transaction(async (tx) => {
      // the raised fence comes first: from here on its owner, should it wake up, can write nothing more
      const taken = await tx.run(
        `UPDATE generations SET fence = fence + 1 WHERE id = ? AND ended_at IS NULL AND ${isLost}`,
        [id, ...lost],
      )
      if (taken === 0) return false
      const [row] = await tx.all<LostRow>(
        `SELECT g.id, g.fence, g.session_id AS "sessionId", g.message_id AS "messageId", g.user_id AS "userId", g.model,
           g.attempts, g.started_at AS "startedAt", messages.seq AS "messageSeq", ${storedText(storage)} AS content
         FROM generations g JOIN messages ON messages.id = g.message_id WHERE g.id = ?`,
        [id],
      )
      return finishIn(tx, log, {
        ...row!,
        generationId: id,
        startedAt: toDate(row!.startedAt),
        storedLength: row!.content.length,
        outcome: {
          status: 'INTERRUPTED',
          error: {
            code: 'INTERRUPTED',
            message: 'The server that was answering went away; what had arrived is kept. Send the message again.',
          },
          finishReason: null,
          attempts: row!.attempts,
          timeToFirstTokenMs: null,
          usage: estimateUsage({ attempts: row!.attempts, promptCharacters, content: row!.content }),
        },
      })
    })
    if (isReaped) count++
  }
  return count
}

/** What its model was shown, as far as anybody knows now. */
async function promptCharactersOf(parts: PromptParts, { parentId, model, settings }: Candidate): Promise<number> {
  try {
    return charactersOf(await promptOf(parts, { parentId, model, settings: toJson<GenerationSettings>(settings) }))
  } catch (error) {
    // it would have been told so, and shown nothing
    if (error instanceof ProviderError) return 0
    throw error
  }
}
