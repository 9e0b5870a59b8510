import { defineEntity, p, type InferEntity } from '@mikro-orm/core'
import { errorCodes } from '../errors.ts'
import { messageStatuses } from './message.ts'
import type { GenerationSettings } from './session.ts'

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
