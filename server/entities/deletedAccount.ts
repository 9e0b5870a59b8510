import { defineEntity, p, type InferEntity } from '@mikro-orm/core'

/** An account that its owner deleted. The user's row stays, without a name, as the author of what they said in others' sessions. */
export const DeletedAccountEntity = defineEntity({
  name: 'DeletedAccount',
  tableName: 'deleted_accounts',
  properties: {
    /** SHA-256 in hex of the subject, which may be somebody's address. */
    subjectHash: p.string().length(64).primary(),
    userId: p.uuid().unique(),
    deletedAt: p.datetime(3),
  },
})
export type DeletedAccount = InferEntity<typeof DeletedAccountEntity>
