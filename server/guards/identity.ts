import { hash, randomUUID, randomUUIDv7 } from 'node:crypto'
import { decodeProtectedHeader, errors, jwtVerify, SignJWT, type JWTPayload } from 'jose'
import { LRUCache } from 'lru-cache'
import { MemoryBus } from '../bus/memoryBus.ts'
import type { Bus } from '../bus/bus.ts'
import type { Config } from '../config/config.ts'
import { UnauthenticatedError } from '../errors.ts'
import { createLogger, type Logger } from '../logger.ts'
import { insert, userColumns, userOf, type UserRow } from '../storage/rows.ts'
import { isUniqueViolation, toDate, type Sql, type Storage, type Tx } from '../storage/storage.ts'
import type { Topics } from '../topics.ts'
import { isApiKey, usedEveryMs, verifyApiKey } from './apiKeys.ts'
import { ProviderKeys } from './providerKeys.ts'
import { accountOf, Revocations, trustedForMs, type Credential } from './revocations.ts'
import type { Scope } from './scopes.ts'
import { readSecret } from './secret.ts'
import { isUuid } from './uuid.ts'

export interface Verified {
  user: UserRow
  expiresAt: Date
  /** What it may be used for; null for everything that the user may. */
  scopes: readonly Scope[] | null
  /** By what it can be ended before its time. */
  credential: Credential
}

type Claims = Pick<UserRow, 'subject' | 'name' | 'isAdmin'>

const guestDays = 30
const maxTokenCharacters = 8192
const maxNameCharacters = 255
const maxLooks = 3
/** The end of the year 9999, beyond which dates are not the same everywhere. */
const maxTimeSeconds = 253_402_300_799

/** Who asks: makes tokens for guests, finds the user of a token, whom the first token makes, and ends tokens. */
export class Identity {
  readonly #config: Config
  readonly #storage: Storage
  readonly #secret: Uint8Array
  readonly #providerKeys: ProviderKeys | undefined
  readonly #revocations: Revocations
  readonly #admins: ReadonlySet<string>
  /** By the token's hash, so that a dump of the memory holds no tokens. */
  readonly #verified = new LRUCache<string, Verified>({ max: 10_000, ttl: trustedForMs })

  /** Reads the secret, or makes it where there is none yet. */
  static async open(config: Config, storage: Storage, bus: Bus<Topics>, logger: Logger): Promise<Identity> {
    return new Identity(config, storage, await readSecret(config, storage), bus, logger)
  }

  constructor(
    config: Config,
    storage: Storage,
    secret: Uint8Array,
    bus: Bus<Topics> = new MemoryBus(),
    logger: Logger = createLogger(config),
  ) {
    this.#config = config
    this.#storage = storage
    this.#secret = secret
    this.#providerKeys = config.authJwksUrl ? new ProviderKeys(config.authJwksUrl, config, logger) : undefined
    this.#revocations = new Revocations(storage, bus, logger)
    this.#admins = new Set(config.adminSubjects.map(normalized))
  }

  /** Hears of what other nodes revoke, and of keys that the identity provider withdraws. */
  async start(): Promise<void> {
    await this.#revocations.start()
    this.#providerKeys?.start(() => this.#revocations.endWhere((credential) => this.#isWithdrawn(credential)))
  }

  stop(): void {
    this.#revocations.stop()
    this.#providerKeys?.stop()
  }

  /** A guest's token, valid for 30 days. */
  async signIn(user: UserRow): Promise<string> {
    const { authIssuer, authAudience } = this.#config
    const token = new SignJWT({ name: user.name })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(user.subject)
      .setJti(randomUUID())
      .setIssuedAt()
      .setExpirationTime(`${guestDays}d`)
    if (authIssuer) token.setIssuer(authIssuer)
    if (authAudience) token.setAudience(authAudience)
    return token.sign(this.#secret)
  }

  /**
   * Who asks with this header of HTTP; null where there is none.
   * @throws UnauthenticatedError for a header that is no `Bearer` one; what `verify` throws
   */
  async fromHeader(authorization: string | null | undefined): Promise<Verified | null> {
    if (authorization == null) return null
    const [, token] = /^Bearer +(\S+) *$/i.exec(authorization) ?? []
    if (token === undefined) throw new UnauthenticatedError('The Authorization header must be "Bearer <token>".')
    return this.verify(token)
  }

  /**
   * The user of a token or API key, and when it ends.
   * @throws UnauthenticatedError for one that is malformed, expired, revoked, or not made by whom we trust;
   * ProviderUnavailableError where the keys to tell by can't be had now
   */
  async verify(token: string): Promise<Verified> {
    if (token.length > maxTokenCharacters) throw refused()
    const key = hash('sha256', token, 'base64')
    const known = this.#verified.get(key)
    if (known && !this.#isWithdrawn(known.credential)) {
      if (this.#revocations.has(known.credential)) throw revoked()
      if (known.expiresAt.getTime() > Date.now()) return known
      this.#verified.delete(key)
      throw new UnauthenticatedError('The token has expired. Sign in again.')
    }
    const isKey = isApiKey(token)
    const verified = isKey
      ? await verifyApiKey(this.#storage, token, (user) => this.#asTheSettingsSay(user))
      : await this.#verifyToken(token)
    // learned of while it was looked up
    if (this.#revocations.has(verified.credential)) throw revoked()
    this.#verified.set(key, verified, isKey ? { ttl: usedEveryMs } : {})
    return verified
  }

  /** Ends a token or key on every node, with all that is open by it, once the transaction is committed. */
  async revoke(tx: Tx, credentialId: string, expiresAt: Date): Promise<void> {
    await this.#revocations.revoke(tx, credentialId, expiresAt)
  }

  /**
   * Ends all tokens and keys of a user, for good, with all that is open by them, once the transaction is committed. A
   * token that their identity provider makes later is one of a new account.
   */
  async endAccount(tx: Tx, { id, subject }: Pick<UserRow, 'id' | 'subject'>): Promise<void> {
    const now = new Date()
    await tx.run(
      `INSERT INTO deleted_accounts (subject_hash, user_id, deleted_at) VALUES (?, ?, ?)
       ON CONFLICT (subject_hash) DO UPDATE SET user_id = excluded.user_id, deleted_at = excluded.deleted_at`,
      [hash('sha256', subject), id, now],
    )
    // for those who trust them yet; whoever looks them up anew finds the row above
    await this.#revocations.revoke(tx, accountOf(id), new Date(now.getTime() + 2 * trustedForMs))
  }

  /** Whether the settings make an admin of them. */
  isNamedAdmin({ subject }: Pick<UserRow, 'subject'>): boolean {
    return this.#admins.has(subject)
  }

  /** Calls back once, when a token or key ends before its time. Returns what calls it off. */
  onRevoked(credential: Credential, end: () => void): () => void {
    return this.#revocations.watch(credential, end)
  }

  async #verifyToken(token: string): Promise<Verified> {
    const { payload, signedBy } = await this.#check(token)
    const id = credentialOf(token, payload)
    if (await this.#revocations.isRevoked(id)) throw revoked()
    const claims = this.#claims(payload)
    let user: UserRow | undefined
    // once more where the account was named or deleted between two looks at it
    for (let look = 0; !user && look < maxLooks; look++) user = await this.#userOf(claims, payload.iat ?? 0)
    if (!user) throw revoked()
    const endSeconds = Math.min(payload.exp! + this.#config.authClockSkewSeconds, maxTimeSeconds)
    return {
      user: this.#asTheSettingsSay(user),
      expiresAt: new Date(endSeconds * 1000),
      scopes: null,
      credential: { id, account: accountOf(user.id), signedBy },
    }
  }

  async #check(token: string): Promise<{ payload: JWTPayload; signedBy: string | null }> {
    const { authIssuer: issuer, authAudience: audience, auth, authSecret, authClockSkewSeconds } = this.#config
    const options = { requiredClaims: ['sub', 'exp'], issuer, audience, clockTolerance: authClockSkewSeconds }
    const { alg } = headerOf(token)
    try {
      // Which key is tried is decided by the kind of signature, so that none is ever checked with a key of another kind.
      if (alg !== 'HS256' && this.#providerKeys) return await this.#providerKeys.verify(token, options)
      if (this.#providerKeys && auth === 'jwt' && !authSecret) throw refused()
      const { payload } = await jwtVerify(token, this.#secret, { ...options, algorithms: ['HS256'] })
      return { payload, signedBy: null }
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw new UnauthenticatedError('The token has expired. Sign in again.')
      if (error instanceof errors.JOSEError) throw refused()
      throw error
    }
  }

  #isWithdrawn({ signedBy }: Credential): boolean {
    return signedBy !== null && !this.#providerKeys!.has(signedBy)
  }

  /** What we take from a token, in a form that can be stored. */
  #claims({ sub, name, admin }: JWTPayload): Claims {
    if (typeof sub !== 'string' || sub === '' || [...sub].length > 255 || !sub.isWellFormed() || sub.includes('\0')) {
      throw refused()
    }
    const called = typeof name === 'string' ? name.toWellFormed().replaceAll('\0', '').trim() : ''
    const subject = normalized(sub)
    return {
      subject,
      name: [...(called || sub)].slice(0, maxNameCharacters).join(''),
      isAdmin: admin === true,
    }
  }

  /** Not stored: who is no longer named must be no admin by a key either, whose use changes no user. */
  #asTheSettingsSay(user: UserRow): UserRow {
    return this.isNamedAdmin(user) ? { ...user, isAdmin: true } : user
  }

  /**
   * The token's user as it says; made at first sight, and changed where the token says otherwise than the last one, but for
   * a name that they gave themselves. Undefined where that changed meanwhile.
   * @throws UnauthenticatedError for a token from before the account was deleted
   */
  async #userOf(claims: Claims, issuedAtSeconds: number): Promise<UserRow | undefined> {
    const { subject, isAdmin } = claims
    const deletedAt = await deletionOf(this.#storage.read, subject)
    if (deletedAt && issuedAtSeconds * 1000 <= deletedAt.getTime())
      throw new UnauthenticatedError('The account of this token was deleted.')
    const found = await findUser(this.#storage.read, subject)
    if (!found) return this.#newUser(claims, deletedAt)
    const name = found.isNameChosen ? found.name : claims.name
    if (found.name === name && found.isAdmin === isAdmin) return found
    const changed = await this.#storage.transaction((tx) =>
      tx.run(`UPDATE users SET name = ?, is_admin = ? WHERE id = ? AND subject = ? AND is_name_chosen = ?`, [
        ...[name, isAdmin, found.id, subject, found.isNameChosen],
      ]),
    )
    return changed > 0 ? { ...found, name, isAdmin } : undefined
  }

  async #newUser({ subject, name, isAdmin }: Claims, deletedAt: Date | undefined): Promise<UserRow | undefined> {
    const user: UserRow = {
      // the id of a deleted account stays that of whoever said what it said
      id: isUuid(subject) && !deletedAt ? subject : randomUUIDv7(),
      subject,
      name,
      isNameChosen: false,
      isAdmin,
      createdAt: new Date(),
      lastSeenAt: null,
    }
    try {
      return await this.#storage.transaction(async (tx) => {
        const first = await findUser(tx, subject)
        if (!first && (await deletionOf(tx, subject))?.getTime() !== deletedAt?.getTime()) return undefined
        if (!first) await insert(tx, 'users', user)
        return first ?? user
      })
    } catch (error) {
      // another request with a token of the same user was faster
      const first = isUniqueViolation(error) && (await findUser(this.#storage.read, subject))
      if (!first) throw error
      return first
    }
  }
}

async function deletionOf(sql: Sql, subject: string): Promise<Date | undefined> {
  const [row] = await sql.all(`SELECT deleted_at AS "deletedAt" FROM deleted_accounts WHERE subject_hash = ?`, [
    hash('sha256', subject),
  ])
  return row && toDate(row.deletedAt)
}

async function findUser(sql: Sql, subject: string): Promise<UserRow | undefined> {
  const [row] = await sql.all(`SELECT ${userColumns('u')} FROM users u WHERE u.subject = ?`, [subject])
  return row && userOf(row)
}

const normalized = (subject: string): string => (isUuid(subject) ? subject.toLowerCase() : subject)

function headerOf(token: string): { alg?: string } {
  try {
    return decodeProtectedHeader(token)
  } catch {
    throw refused()
  }
}

/**
 * By its own id where it has one; else by what is signed of it, since whoever holds a token can write its signature in
 * other ways that are as good.
 */
function credentialOf(token: string, { iss, sub, jti }: JWTPayload): string {
  const named = typeof jti === 'string' && jti !== ''
  const identity = named ? JSON.stringify([iss ?? null, sub, jti]) : token.slice(0, token.lastIndexOf('.'))
  return hash('sha256', identity)
}

const refused = () => new UnauthenticatedError('The token is not valid here. Sign in again.')
const revoked = () => new UnauthenticatedError('The token was revoked. Sign in again.')
