import { defineEntity, p, type InferEntity } from '@mikro-orm/core'

export interface GenerationSettings {
  systemPrompt: string | null
  temperature: number | null
  topP: number | null
  maxTokens: number | null
  tools: string[]
}

export const SessionEntity = defineEntity({
  name: 'Session',
  tableName: 'sessions',
  properties: {
    id: p.uuid().primary(),
    ownerId: p.uuid(),
    title: p.string().length(500),
    /** False until someone sets the title; till then it follows the first message. */
    isTitleSet: p.boolean(),
    /** `provider/model` */
    model: p.text(),
    settings: p.json<GenerationSettings>(),
    metadata: p.json<Record<string, unknown>>(),
    isArchived: p.boolean(),
    /** Kept beside the messages, so that a count never walks a long session. */
    messageCount: p.integer(),
    createdAt: p.datetime(3),
    updatedAt: p.datetime(3),
    lastActiveAt: p.datetime(3),
  },
})
export type Session = InferEntity<typeof SessionEntity>
