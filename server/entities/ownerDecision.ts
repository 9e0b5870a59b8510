import { defineEntity, p, type InferEntity } from '@mikro-orm/core'

/** The owner's last word on somebody in their session: a removal, or a role. */
export const OwnerDecisionEntity = defineEntity({
  name: 'OwnerDecision',
  tableName: 'owner_decisions',
  properties: {
    sessionId: p.uuid().primary(),
    userId: p.uuid().primary(),
    /** Position of the event that tells of it. Invitations from before it do not count for this person. */
    seq: p.integer(),
  },
})
export type OwnerDecision = InferEntity<typeof OwnerDecisionEntity>
