import { LRUCache } from 'lru-cache'
import type { Redis } from 'ioredis'
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes, type RateLimiterAbstract } from 'rate-limiter-flexible'
import type { Config } from '../config.ts'
import { RateLimitedError } from '../errors.ts'

/** Counts over all nodes where there is Redis; while that is away, each node for itself. */
function perMinute(points: number, name: string, redis: Redis | null): RateLimiterAbstract {
  const here = new RateLimiterMemory({ points, duration: 60 })
  if (!redis) return here
  const keyPrefix = `parley:limit:${name}`
  return new RateLimiterRedis({
    storeClient: redis,
    keyPrefix,
    points,
    duration: 60,
    rejectIfRedisNotReady: true,
    insuranceLimiter: here,
  })
}

const wrongInvitationsPerMinute = 10
const typingPerMinute = 600

/** How often someone may do something. What is refused is not counted. */
export class Limits {
  readonly #messagesOfUser: RateLimiterAbstract
  readonly #messagesOfAddress: RateLimiterAbstract
  readonly #signIns: RateLimiterAbstract
  readonly #wrongInvitations: RateLimiterAbstract
  readonly #typing: RateLimiterAbstract
  readonly #counted = new LRUCache<string, true>({ max: 50_000, ttl: 60_000 })

  /** @param redis counts for all nodes together; null for a single one */
  constructor(config: Pick<Config, 'rateLimitPerMinute' | 'rateLimitPerMinutePerAddress'>, redis: Redis | null = null) {
    this.#messagesOfUser = perMinute(config.rateLimitPerMinute, 'messages-of-user', redis)
    this.#messagesOfAddress = perMinute(config.rateLimitPerMinutePerAddress, 'messages-of-address', redis)
    this.#signIns = perMinute(config.rateLimitPerMinutePerAddress, 'sign-ins', redis)
    this.#wrongInvitations = perMinute(wrongInvitationsPerMinute, 'wrong-invitations', redis)
    this.#typing = perMinute(typingPerMinute, 'typing', redis)
  }

  /**
   * Counts a message for its author and their address; one that is sent again under its id is counted once.
   * @throws RateLimitedError
   */
  async message(userId: string, address: string, messageId: string): Promise<void> {
    const key = `${userId} ${messageId}`
    if (this.#counted.has(key)) return
    // noted before anything is awaited: the repeats may be under way at the same time
    this.#counted.set(key, true)
    try {
      await take(this.#messagesOfUser, userId, 'You are sending messages too fast.')
      try {
        await take(this.#messagesOfAddress, address, 'Too many messages are sent from your address.')
      } catch (error) {
        await this.#messagesOfUser.reward(userId)
        throw error
      }
    } catch (error) {
      this.#counted.delete(key)
      throw error
    }
  }

  /** @throws RateLimitedError */
  async signIn(address: string): Promise<void> {
    await take(this.#signIns, address, 'Too many accounts are made from your address.')
  }

  /**
   * Refuses an address that has tried too many wrong tokens, whether the next one is right or not.
   * @throws RateLimitedError
   */
  async invitation(address: string): Promise<void> {
    const counted = await this.#wrongInvitations.get(address)
    if (counted && counted.consumedPoints >= wrongInvitationsPerMinute && counted.msBeforeNext > 0) {
      throw tooMany('Too many wrong invitations came from your address.', counted.msBeforeNext)
    }
  }

  async wrongInvitation(address: string): Promise<void> {
    await this.#wrongInvitations.penalty(address)
  }

  /** @throws RateLimitedError */
  async typing(userId: string): Promise<void> {
    await take(this.#typing, userId, 'You are telling that you type too often.')
  }
}

async function take(limiter: RateLimiterAbstract, key: string, what: string): Promise<void> {
  try {
    await limiter.consume(key)
  } catch (refused) {
    if (!(refused instanceof RateLimiterRes)) throw refused
    await limiter.reward(key)
    throw tooMany(what, refused.msBeforeNext)
  }
}

function tooMany(what: string, ms: number): RateLimitedError {
  const retryAfterMs = Math.max(Math.ceil(ms), 1)
  return new RateLimitedError(`${what} Try again in ${Math.ceil(retryAfterMs / 1000)} s.`, retryAfterMs)
}
