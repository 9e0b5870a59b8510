import { createHash, randomUUIDv7 } from 'node:crypto'
import {
  createRemoteJWKSet,
  decodeProtectedHeader,
  errors,
  jwtVerify,
  SignJWT,
  type JWTPayload,
  type JWTVerifyGetKey,
} from 'jose'
import { LRUCache } from 'lru-cache'
import type { Config } from '../config.ts'
import { UnauthenticatedError } from '../errors.ts'
import { insert, userColumns, userOf, type UserRow } from '../storage/rows.ts'
import { isUniqueViolation, type Storage } from '../storage/storage.ts'
import { readSecret } from './secret.ts'
import { isUuid } from './uuid.ts'

export interface Verified {
  user: UserRow
  expiresAt: Date
}

export type IdentityConfig = Pick<
  Config,
  'auth' | 'authSecret' | 'authJwksUrl' | 'authIssuer' | 'authAudience' | 'databaseUrl'
>

const guestDays = 30
const maxTokenCharacters = 8192
const maxNameCharacters = 255

const providerAlgorithms = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
]

/** Who asks: makes tokens for guests, and finds the user of a token, whom the first token makes. */
export class Identity {
  readonly #config: IdentityConfig
  readonly #storage: Storage
  readonly #secret: Uint8Array
  readonly #providerKeys: JWTVerifyGetKey | undefined
  /** By the token's hash, so that a dump of the memory holds no tokens. */
  readonly #verified = new LRUCache<string, Verified>({ max: 10_000 })

  /** Reads the secret, or makes it where there is none yet. */
  static async open(config: IdentityConfig & Config, storage: Storage): Promise<Identity> {
    return new Identity(config, storage, await readSecret(config, storage))
  }

  constructor(config: IdentityConfig, storage: Storage, secret: Uint8Array) {
    this.#config = config
    this.#storage = storage
    this.#secret = secret
    this.#providerKeys = config.authJwksUrl ? createRemoteJWKSet(new URL(config.authJwksUrl)) : undefined
  }

  /** A guest's token, valid for 30 days. */
  async signIn(user: UserRow): Promise<string> {
    const { authIssuer, authAudience } = this.#config
    const token = new SignJWT({ name: user.name })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(user.subject)
      .setIssuedAt()
      .setExpirationTime(`${guestDays}d`)
    if (authIssuer) token.setIssuer(authIssuer)
    if (authAudience) token.setAudience(authAudience)
    return token.sign(this.#secret)
  }

  /**
   * Who asks with this header of HTTP; null where there is none.
   * @throws UnauthenticatedError for a header that is no `Bearer` one, or a token that `verify` refuses
   */
  async fromHeader(authorization: string | null | undefined): Promise<Verified | null> {
    // "Bearer" without a token is what a form sends that nobody has filled in yet
    if (authorization == null || /^(Bearer)? *$/i.test(authorization)) return null
    const [, token] = /^Bearer +(\S+) *$/i.exec(authorization) ?? []
    if (token === undefined) throw new UnauthenticatedError('The Authorization header must be "Bearer <token>".')
    return this.verify(token)
  }

  /**
   * The user of a token, and when it ends.
   * @throws UnauthenticatedError for a token that is malformed, expired, or not signed by whom we trust
   */
  async verify(token: string): Promise<Verified> {
    if (token.length > maxTokenCharacters) throw refused()
    const key = createHash('sha256').update(token).digest('base64')
    const known = this.#verified.get(key)
    if (known) {
      if (known.expiresAt.getTime() > Date.now()) return known
      this.#verified.delete(key)
      throw new UnauthenticatedError('The token has expired. Sign in again.')
    }
    const payload = await this.#check(token)
    const verified = { user: await this.#user(claims(payload)), expiresAt: new Date(payload.exp! * 1000) }
    this.#verified.set(key, verified)
    return verified
  }

  async #check(token: string): Promise<JWTPayload> {
    const { authIssuer: issuer, authAudience: audience, auth, authSecret } = this.#config
    const options = { requiredClaims: ['sub', 'exp'], issuer, audience }
    const { alg } = headerOf(token)
    try {
      // Which key is tried is decided by the kind of signature, so that none is ever checked with a key of another kind.
      if (alg !== 'HS256' && this.#providerKeys) {
        return (await jwtVerify(token, this.#providerKeys, { ...options, algorithms: providerAlgorithms })).payload
      }
      if (this.#providerKeys && auth === 'jwt' && !authSecret) throw refused()
      return (await jwtVerify(token, this.#secret, { ...options, algorithms: ['HS256'] })).payload
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw new UnauthenticatedError('The token has expired. Sign in again.')
      if (isFaultOfToken(error)) throw refused()
      // the provider's keys can't be had now: the token may be as good as ever
      throw error
    }
  }

  /** The token's user as it says; made at first sight, and changed where the token says otherwise than the last one. */
  async #user({ subject, name, isAdmin }: Pick<UserRow, 'subject' | 'name' | 'isAdmin'>): Promise<UserRow> {
    const found = await this.#find(subject)
    if (found && found.name === name && found.isAdmin === isAdmin) return found
    if (found) {
      await this.#storage.transaction((tx) =>
        tx.run(`UPDATE users SET name = ?, is_admin = ? WHERE id = ?`, [name, isAdmin, found.id]),
      )
      return { ...found, name, isAdmin }
    }
    const user = {
      id: isUuid(subject) ? subject : randomUUIDv7(),
      subject,
      name,
      isAdmin,
      createdAt: new Date(),
      lastSeenAt: null,
    }
    try {
      await this.#storage.transaction((tx) => insert(tx, 'users', user))
      return user
    } catch (error) {
      // another request with a token of the same user was faster
      const first = isUniqueViolation(error) && (await this.#find(subject))
      if (!first) throw error
      return first
    }
  }

  async #find(subject: string): Promise<UserRow | undefined> {
    const [row] = await this.#storage.read.all(`SELECT ${userColumns('u')} FROM users u WHERE u.subject = ?`, [subject])
    return row && userOf(row)
  }
}

function headerOf(token: string): { alg?: string } {
  try {
    return decodeProtectedHeader(token)
  } catch {
    throw refused()
  }
}

const isFaultOfToken = (error: unknown): boolean =>
  error instanceof UnauthenticatedError ||
  error instanceof errors.JWTClaimValidationFailed ||
  error instanceof errors.JWTInvalid ||
  error instanceof errors.JWSInvalid ||
  error instanceof errors.JWSSignatureVerificationFailed ||
  error instanceof errors.JOSEAlgNotAllowed ||
  error instanceof errors.JOSENotSupported ||
  error instanceof errors.JWKSNoMatchingKey ||
  error instanceof errors.JWKSMultipleMatchingKeys

const refused = () => new UnauthenticatedError('The token is not valid here. Sign in again.')

/** What we take from a token, in a form that can be stored. */
function claims({ sub, name, admin }: JWTPayload): Pick<UserRow, 'subject' | 'name' | 'isAdmin'> {
  if (typeof sub !== 'string' || sub === '' || [...sub].length > 255 || !sub.isWellFormed() || sub.includes('\0')) {
    throw refused()
  }
  const called = typeof name === 'string' ? name.toWellFormed().replaceAll('\0', '').trim() : ''
  return {
    subject: isUuid(sub) ? sub.toLowerCase() : sub,
    name: [...(called || sub)].slice(0, maxNameCharacters).join(''),
    isAdmin: admin === true,
  }
}
