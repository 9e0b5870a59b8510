import type { GenerationSettings } from '../entities/session.ts'
import type { SessionLog } from '../log/sessionLog.ts'
import { toDate, type Storage } from '../storage/storage.ts'
import { finishIn } from './finish.ts'
import { estimateTokens, storedText } from './prompt.ts'

interface LostRow {
  id: string
  fence: number
  sessionId: string
  messageId: string
  userId: string
  model: string
  settings: GenerationSettings
  attempts: number
  startedAt: Date | number
  messageSeq: number
  content: string
}

/**
 * Ends, as INTERRUPTED and with all that was stored, the generations whose lease has run out by the database's clock;
 * where `anyLeaseBut` is given, instead, those of every other node than that, whatever their lease.
 * @returns how many it ended
 */
export async function reap(
  storage: Storage,
  log: SessionLog,
  { anyLeaseBut }: { anyLeaseBut?: string } = {},
): Promise<number> {
  const isLost = anyLeaseBut === undefined ? `lease_until < ${storage.dialect.now}` : 'owner_node <> ?'
  const lost = anyLeaseBut === undefined ? [] : [anyLeaseBut]
  const candidates = await storage.read.all<{ id: string }>(
    `SELECT id FROM generations WHERE ended_at IS NULL AND ${isLost}`,
    lost,
  )
  let count = 0
  for (const { id } of candidates) {
    const isReaped = await storage.transaction(async (tx) => {
      // the raised fence comes first: from here on its owner, should it wake up, can write nothing more
      const taken = await tx.run(
        `UPDATE generations SET fence = fence + 1 WHERE id = ? AND ended_at IS NULL AND ${isLost}`,
        [id, ...lost],
      )
      if (taken === 0) return false
      const [row] = await tx.all<LostRow>(
        `SELECT g.id, g.fence, g.session_id AS "sessionId", g.message_id AS "messageId", g.user_id AS "userId", g.model,
           g.settings, g.attempts, g.started_at AS "startedAt", messages.seq AS "messageSeq", ${storedText(storage)} AS content
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
          attempts: row!.attempts,
          timeToFirstTokenMs: null,
          usage: { promptTokens: 0, completionTokens: estimateTokens(row!.content.length), isEstimated: true },
        },
      })
    })
    if (isReaped) count++
  }
  return count
}
