import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Person } from '../../tests/support/clients.ts'
import { trySend, type SendResult } from '../../tests/support/operations.ts'

export interface Sent {
  id: string
  content: string
  replyId: string | undefined
  generationId: string | undefined
}

export interface SendingOptions {
  /** Asked before every try: any node may take it. */
  url: () => string
  by: Person
  sessionId: string
  content: string
  id?: string
  respond?: boolean
  retryMs?: number
  /** Gives up, with undefined, once it is aborted. */
  signal?: AbortSignal
}

/** Sends as a client does that keeps what is not acknowledged: again and again under the same id. */
export async function sendUntilAcknowledged({
  url,
  by,
  sessionId,
  content,
  id = randomUUID(),
  respond = true,
  retryMs = 50,
  signal,
}: SendingOptions): Promise<Sent | undefined> {
  while (!signal?.aborted) {
    const result = await trySend({ url: url() }, by, { sessionId, id, content, respond }).catch(
      (): SendResult | undefined => undefined,
    )
    if (result?.__typename === 'SendMessageSuccess')
      return { id, content, replyId: result.reply?.id, generationId: result.generation?.id }
    if (result && result.code !== 'INTERNAL' && result.code !== 'RATE_LIMITED')
      throw new Error(`A send was refused: ${JSON.stringify(result)}`)
    await delay(retryMs)
  }
  return undefined
}
