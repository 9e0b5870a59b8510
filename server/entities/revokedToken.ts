import { defineEntity, p, type InferEntity } from '@mikro-orm/core'

/** A token or key that ended before its time. The row is needed until that time. */
export const RevokedTokenEntity = defineEntity({
  name: 'RevokedToken',
  tableName: 'revoked_tokens',
  properties: {
    /** Goes up in the order of the commits, so that "newer than the last one seen" misses none. */
    seq: p.integer().primary().autoincrement(),
    /** `Verified.credential`: says nothing of the token itself. */
    credential: p.string().length(64).unique(),
    expiresAt: p.datetime(3),
  },
})
export type RevokedToken = InferEntity<typeof RevokedTokenEntity>
