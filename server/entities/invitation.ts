import { defineEntity, p, type InferEntity } from '@mikro-orm/core'
import { participantRoles } from './participant.ts'

export const InvitationEntity = defineEntity({
  name: 'Invitation',
  tableName: 'invitations',
  properties: {
    id: p.uuid().primary(),
    sessionId: p.uuid(),
    createdById: p.uuid(),
    /** SHA-256 of the token in hex: whoever reads the database can't join by it. */
    tokenHash: p.string().length(64).unique(),
    role: p.enum(participantRoles),
    expiresAt: p.datetime(3),
    maxUses: p.integer().nullable(),
    uses: p.integer(),
    createdAt: p.datetime(3),
    /** Position of the session's newest event when it was made. */
    seq: p.integer(),
  },
})
export type Invitation = InferEntity<typeof InvitationEntity>
