import { createHash, randomBytes } from 'node:crypto'
import { UnauthenticatedError } from '../errors.ts'
import { userColumns, userOf, type UserRow } from '../storage/rows.ts'
import { toDate, toJson, type Storage } from '../storage/storage.ts'
import type { Verified } from './identity.ts'
import { accountOf } from './revocations.ts'
import type { Scope } from './scopes.ts'

/** By this a key is told from a token, and found by scanners for secrets that lie about. */
const prefix = 'parley_'
const startCharacters = prefix.length + 6

/** For as long a key's owner and use are not looked at again. */
export const usedEveryMs = 60_000

export const isApiKey = (token: string): boolean => token.startsWith(prefix)

/**
 * One fast hash is enough: a key has 256 random bits, so there is nothing to guess, as there is with passwords; and it
 * can be found by its hash, of which a dump of the database gives nobody the key.
 */
export const hashKey = (key: string): string => createHash('sha256').update(key).digest('hex')

export function makeKey(): { key: string; start: string; keyHash: string } {
  const key = `${prefix}${randomBytes(32).toString('base64url')}`
  return { key, start: key.slice(0, startCharacters), keyHash: hashKey(key) }
}

/**
 * Whose a key is and what it may be used for; notes that it was used, to the minute.
 * @param asTheSettingsSay makes an admin of a user whom the settings name
 * @throws UnauthenticatedError for a key that there is not, or no more
 */
export async function verifyApiKey(
  storage: Storage,
  key: string,
  asTheSettingsSay: (user: UserRow) => UserRow,
): Promise<Verified> {
  const keyHash = hashKey(key)
  const [row] = await storage.read.all(
    `SELECT k.id AS "keyId", k.scopes, k.expires_at AS "expiresAt", ${userColumns('u')}
     FROM api_keys k JOIN users u ON u.id = k.user_id WHERE k.key_hash = ? AND k.revoked_at IS NULL`,
    [keyHash],
  )
  const expiresAt = row && toDate(row.expiresAt)
  if (!expiresAt) throw new UnauthenticatedError('There is no such API key. Make another one.')
  if (expiresAt.getTime() <= Date.now()) throw new UnauthenticatedError('The API key has expired. Make another one.')
  const now = new Date()
  await storage.transaction((tx) =>
    tx.run(`UPDATE api_keys SET last_used_at = ? WHERE id = ? AND (last_used_at IS NULL OR last_used_at <= ?)`, [
      now,
      row.keyId as string,
      new Date(now.getTime() - usedEveryMs),
    ]),
  )
  const user = asTheSettingsSay(userOf(row))
  const scopes = toJson<Scope[]>(row.scopes)
  return {
    // whatever asks whether the viewer is an admin need not know of keys
    user: { ...user, isAdmin: user.isAdmin && scopes.includes('admin') },
    expiresAt,
    scopes,
    credential: { id: keyHash, account: accountOf(user.id), signedBy: null },
  }
}
