import { defineEntity, p, type InferEntity } from '@mikro-orm/core'

export const participantRoles = ['OWNER', 'MEMBER', 'VIEWER'] as const
export type ParticipantRole = (typeof participantRoles)[number]

export const ParticipantEntity = defineEntity({
  name: 'Participant',
  tableName: 'participants',
  properties: {
    sessionId: p.uuid().primary(),
    userId: p.uuid().primary(),
    role: p.enum(participantRoles),
    joinedAt: p.datetime(3),
  },
})
export type Participant = InferEntity<typeof ParticipantEntity>
