import { defineEntity, p, type InferEntity } from '@mikro-orm/core'

/** A person, whether guest or known to an identity provider. */
export const UserEntity = defineEntity({
  name: 'User',
  tableName: 'users',
  properties: {
    id: p.uuid().primary(),
    /** The token's `sub`; a guest's is their own id. */
    subject: p.string().length(255).unique(),
    name: p.string().length(255),
    /** They named themselves here: what their tokens call them counts no more. */
    isNameChosen: p.boolean(),
    isAdmin: p.boolean(),
    createdAt: p.datetime(3),
    lastSeenAt: p.datetime(3).nullable(),
  },
})
export type User = InferEntity<typeof UserEntity>
