import { defineEntity, p, type InferEntity } from '@mikro-orm/core'

/** What one generation used. It outlives its session, so that totals stay true. */
export const UsageRecordEntity = defineEntity({
  name: 'UsageRecord',
  tableName: 'usage_records',
  properties: {
    id: p.uuid().primary(),
    generationId: p.uuid().unique(),
    sessionId: p.uuid().nullable(),
    userId: p.uuid(),
    model: p.text(),
    promptTokens: p.integer(),
    completionTokens: p.integer(),
    isEstimated: p.boolean(),
    createdAt: p.datetime(3),
  },
})
export type UsageRecord = InferEntity<typeof UsageRecordEntity>
