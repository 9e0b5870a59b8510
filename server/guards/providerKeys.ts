import {
  calculateJwkThumbprint,
  createRemoteJWKSet,
  customFetch,
  errors,
  jwksCache,
  jwtVerify,
  type ExportedJWKSCache,
  type JWTPayload,
  type JWTVerifyOptions,
  type RemoteJWKSet,
} from 'jose'
import type { Config } from '../config/config.ts'
import { ProviderUnavailableError } from '../errors.ts'
import type { Logger } from '../logger.ts'

/** None by a shared secret: whoever knows a public key could sign with it. */
const algorithms = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
]

const timeoutMs = 5_000
/** After a failure; without it each token would wait for a provider that is away. */
const failureCooldownMs = 1_000

/**
 * An identity provider's published keys. A key that is new to us is fetched when a token first names it; all are fetched
 * again every so often, so that a withdrawn one stops working. While the provider is away the known ones go on.
 */
export class ProviderKeys {
  readonly #set: RemoteJWKSet
  readonly #cache: Partial<ExportedJWKSCache> = {}
  readonly #maxAgeMs: number
  readonly #logger: Logger
  #thumbprints = new Set<string>()
  #seen: object | undefined
  #retryAt = 0
  #timer: NodeJS.Timeout | undefined
  #onWithdrawn: () => void = () => undefined

  constructor(url: string, config: Pick<Config, 'authJwksMaxAgeSeconds' | 'authJwksCooldownSeconds'>, logger: Logger) {
    this.#logger = logger
    this.#maxAgeMs = config.authJwksMaxAgeSeconds * 1000
    this.#set = createRemoteJWKSet(new URL(url), {
      timeoutDuration: timeoutMs,
      cooldownDuration: config.authJwksCooldownSeconds * 1000,
      // fetched again by our own timer: by age alone, the known keys would end with the first failure
      cacheMaxAge: Infinity,
      [jwksCache]: this.#cache as Record<string, never>,
      [customFetch]: (...request) =>
        Date.now() < this.#retryAt ? Promise.reject(new Error('It failed a moment ago.')) : fetch(...request),
    })
  }

  /** @param onWithdrawn called whenever keys were withdrawn */
  start(onWithdrawn: () => void): void {
    this.#onWithdrawn = onWithdrawn
    this.#timer = setInterval(() => void this.#refresh(), this.#maxAgeMs).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Whether a key is still published. */
  has(thumbprint: string): boolean {
    return this.#thumbprints.has(thumbprint)
  }

  /**
   * @returns the claims, and the thumbprint of the key that signed them
   * @throws what jose throws for a token that is not good; ProviderUnavailableError where it is by a key that we don't
   * know, and the keys can't be fetched
   */
  async verify(token: string, options: JWTVerifyOptions): Promise<{ payload: JWTPayload; signedBy: string }> {
    const pinned = { ...options, algorithms }
    try {
      const { payload, key } = await jwtVerify(token, this.#set, pinned)
      return { payload, signedBy: await this.#noted(key) }
    } catch (error) {
      if (error instanceof errors.JWKSMultipleMatchingKeys) {
        // a token without `kid`, in the days when an old and a new key are both published
        for await (const key of error) {
          const verified = await jwtVerify(token, key, pinned).catch((cause: unknown) => {
            if (cause instanceof errors.JWSSignatureVerificationFailed) return undefined
            throw cause
          })
          if (verified) return { payload: verified.payload, signedBy: await this.#noted(key) }
        }
        throw new errors.JWSSignatureVerificationFailed()
      }
      if (isAboutToken(error)) throw error
      this.#failed(error)
      // also where others are known: a new key may be what could not be fetched
      throw new ProviderUnavailableError(
        'identity',
        "The identity provider's keys can't be fetched now. Try again in a moment.",
      )
    }
  }

  async #noted(key: CryptoKey): Promise<string> {
    await this.#note()
    return calculateJwkThumbprint(key)
  }

  /** Looks at the set of keys where it is another one than before. */
  async #note(): Promise<void> {
    const { jwks } = this.#cache
    if (!jwks || jwks === this.#seen) return
    // keys of kinds that we can't use have no thumbprint
    const found = await Promise.all(jwks.keys.map((key) => calculateJwkThumbprint(key).catch(() => '')))
    if (jwks !== this.#cache.jwks) return this.#note()
    const former = this.#thumbprints
    this.#seen = jwks
    this.#thumbprints = new Set(found)
    if ([...former].some((key) => !this.#thumbprints.has(key))) this.#onWithdrawn()
  }

  async #refresh(): Promise<void> {
    if (!this.#set.jwks()) return
    try {
      await this.#set.reload()
      await this.#note()
    } catch (error) {
      this.#failed(error)
    }
  }

  #failed(error: unknown): void {
    if (Date.now() < this.#retryAt) return
    this.#retryAt = Date.now() + failureCooldownMs
    this.#logger.warn("the identity provider's keys could not be fetched", { error })
  }
}

const isAboutToken = (error: unknown): boolean =>
  error instanceof errors.JWTExpired ||
  error instanceof errors.JWTClaimValidationFailed ||
  error instanceof errors.JWTInvalid ||
  error instanceof errors.JWSInvalid ||
  error instanceof errors.JWSSignatureVerificationFailed ||
  error instanceof errors.JOSEAlgNotAllowed ||
  error instanceof errors.JOSENotSupported ||
  error instanceof errors.JWKSNoMatchingKey
