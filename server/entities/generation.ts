import { defineEntity, p, type InferEntity } from '@mikro-orm/core'
import { errorCodes } from '../errors.ts'
import { messageStatuses } from './message.ts'
import type { GenerationSettings } from './session.ts'

export const finishReasons = ['STOP', 'LENGTH', 'CONTENT_FILTER', 'TOOL_CALLS'] as const
export type FinishReason = (typeof finishReasons)[number]

/** One run of a model that writes one assistant message. */
export const GenerationEntity = defineEntity({
  name: 'Generation',
  tableName: 'generations',
  properties: {
    id: p.uuid().primary(),
    messageId: p.uuid(),
    sessionId: p.uuid(),
    /** Who asked for it, and whose limits it counts against. */
    userId: p.uuid(),
    model: p.text(),
    settings: p.json<GenerationSettings>(),
    status: p.enum(messageStatuses),
    attempts: p.integer(),
    errorCode: p.enum(errorCodes).nullable(),
    errorMessage: p.text().nullable(),
    /** As the provider said it; null of what didn't complete. */
    finishReason: p.enum(finishReasons).nullable(),
    timeToFirstTokenMs: p.integer().nullable(),
    responseTimeMs: p.integer().nullable(),
    /** Node that runs it, while its lease lasts. */
    ownerNode: p.uuid(),
    leaseUntil: p.datetime(3),
    /** Raised when the lease is taken away: whoever writes under an older one writes nothing. */
    fence: p.integer(),
    startedAt: p.datetime(3),
    endedAt: p.datetime(3).nullable(),
  },
})
export type Generation = InferEntity<typeof GenerationEntity>
