import { randomUUIDv7 } from 'node:crypto'
import { z } from 'zod'
import type { Context } from '../context.ts'
import type { ApiKey } from '../entities/apiKey.ts'
import { ForbiddenError, NotFoundError } from '../errors.ts'
import { requireAccount, requirePerson, requireViewer } from '../guards/access.ts'
import { makeKey } from '../guards/apiKeys.ts'
import { isUuid } from '../guards/uuid.ts'
import { scopes, type Scope } from '../guards/scopes.ts'
import { insert } from '../storage/rows.ts'
import { toDate, toDateOrNull, toJson, type Row } from '../storage/storage.ts'
import { audit } from './audit.ts'
import { parse, writtenText } from './validation.ts'

export type ApiKeyRow = Omit<ApiKey, 'keyHash' | 'scopes'> & { scopes: Scope[] }

export interface CreateApiKeyInput {
  name: string
  scopes: readonly Scope[]
  expiresInSeconds?: number | null
}

const quarterSeconds = 7_776_000
const yearSeconds = 31_536_000

const keySchema = z.object({
  name: z.string().trim().pipe(writtenText(100)),
  scopes: z.array(z.enum(scopes)).min(1, 'Must name at least one scope.'),
  expiresInSeconds: z
    .number()
    .refine((value) => value >= 1 && value <= yearSeconds, 'Must be from 1 to 31,536,000 seconds, which is a year.')
    .nullish(),
})

const columns = `id, user_id AS "userId", name, start, scopes, created_at AS "createdAt", expires_at AS "expiresAt",
  last_used_at AS "lastUsedAt", revoked_at AS "revokedAt"`

/** The viewer's keys that were not revoked, newest first. */
export async function apiKeys(ctx: Context): Promise<ApiKeyRow[]> {
  const viewer = requireViewer(ctx)
  const rows = await ctx.storage.read.all(
    `SELECT ${columns} FROM api_keys WHERE user_id = ? AND revoked_at IS NULL ORDER BY id DESC`,
    [viewer.id],
  )
  return rows.map(apiKeyOf)
}

/**
 * Makes a key. It is shown here and never again.
 * @throws ForbiddenError for a key that asks, for more rights than the viewer has, and for too many keys
 */
export async function createApiKey(
  ctx: Context,
  input: CreateApiKeyInput,
): Promise<{ key: string; apiKey: ApiKeyRow }> {
  const startedAt = performance.now()
  const viewer = requirePerson(ctx, onlyPersons)
  const parsed = parse(keySchema, input)
  if (parsed.scopes.includes('admin') && !viewer.isAdmin)
    throw new ForbiddenError('Only admins can make a key with the scope ADMIN.')
  const { key, start, keyHash } = makeKey()
  const createdAt = new Date()
  const apiKey: ApiKeyRow = {
    id: randomUUIDv7(),
    userId: viewer.id,
    name: parsed.name,
    start,
    scopes: scopes.filter((scope) => parsed.scopes.includes(scope)),
    createdAt,
    expiresAt: new Date(createdAt.getTime() + (parsed.expiresInSeconds ?? quarterSeconds) * 1000),
    lastUsedAt: null,
    revokedAt: null,
  }
  await ctx.storage.transaction(async (tx) => {
    // two at once are counted one after the other
    await tx.all(`SELECT id FROM users WHERE id = ? ${ctx.storage.dialect.forUpdate}`, [viewer.id])
    await requireAccount(tx, viewer.id)
    const kept = await tx.all(`SELECT id FROM api_keys WHERE user_id = ? AND revoked_at IS NULL`, [viewer.id])
    if (kept.length >= ctx.config.maxApiKeysPerUser)
      throw new ForbiddenError(`You have ${kept.length} API keys, and may have no more. Revoke one first.`)
    await insert(tx, 'api_keys', { ...apiKey, keyHash })
    await audit(tx, ctx, { action: 'createApiKey', subjectId: apiKey.id, startedAt })
  })
  return { key, apiKey }
}

/**
 * Ends one of the viewer's keys, with all that is open by it, on every node. Twice is once.
 * @throws NotFoundError where the viewer has no such key, ForbiddenError for a key that asks
 */
export async function revokeApiKey(ctx: Context, { id }: { id: string }): Promise<{ apiKey: ApiKeyRow }> {
  const startedAt = performance.now()
  const viewer = requirePerson(ctx, onlyPersons)
  if (!isUuid(id)) throw notFound()
  const now = new Date()
  const apiKey = await ctx.storage.transaction(async (tx) => {
    const [row] = await tx.all(
      `SELECT ${columns}, key_hash AS "keyHash" FROM api_keys WHERE id = ? AND user_id = ? ${ctx.storage.dialect.forUpdate}`,
      [id.toLowerCase(), viewer.id],
    )
    if (!row) throw notFound()
    const found = apiKeyOf(row)
    if (found.revokedAt) return found
    await tx.run(`UPDATE api_keys SET revoked_at = ? WHERE id = ?`, [now, found.id])
    await ctx.identity.revoke(tx, row.keyHash as string, found.expiresAt)
    await audit(tx, ctx, { action: 'revokeApiKey', subjectId: found.id, startedAt })
    return { ...found, revokedAt: now }
  })
  return { apiKey }
}

const onlyPersons = 'An API key makes and revokes no keys. Use a token of your own.'

const notFound = () => new NotFoundError('You have no such API key.')

const apiKeyOf = (row: Row): ApiKeyRow => ({
  id: row.id as string,
  userId: row.userId as string,
  name: row.name as string,
  start: row.start as string,
  scopes: toJson<Scope[]>(row.scopes),
  createdAt: toDate(row.createdAt),
  expiresAt: toDate(row.expiresAt),
  lastUsedAt: toDateOrNull(row.lastUsedAt),
  revokedAt: toDateOrNull(row.revokedAt),
})
