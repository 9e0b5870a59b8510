import { defineEntity, p, type InferEntity } from '@mikro-orm/core'

/** A credential for programs: its owner's rights, narrowed to some scopes. */
export const ApiKeyEntity = defineEntity({
  name: 'ApiKey',
  tableName: 'api_keys',
  properties: {
    id: p.uuid().primary(),
    userId: p.uuid(),
    name: p.text(),
    /** What the key begins with, by which its owner tells it from others. */
    start: p.text(),
    /** SHA-256 of the whole key in hex. */
    keyHash: p.string().length(64).unique(),
    scopes: p.json<string[]>(),
    createdAt: p.datetime(3),
    expiresAt: p.datetime(3),
    /** To the minute. */
    lastUsedAt: p.datetime(3).nullable(),
    revokedAt: p.datetime(3).nullable(),
  },
})
export type ApiKey = InferEntity<typeof ApiKeyEntity>
