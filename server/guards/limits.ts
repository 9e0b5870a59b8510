import { LRUCache } from 'lru-cache'
import type { Redis } from 'ioredis'
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes, type RateLimiterAbstract } from 'rate-limiter-flexible'
import type { Config } from '../config/config.ts'
import { RateLimitedError, UnauthenticatedError } from '../errors.ts'
import { networkOf } from './network.ts'

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

type Settings = Pick<
  Config,
  'rateLimitPerMinute' | 'rateLimitPerMinutePerAddress' | 'mutationsPerMinute' | 'wrongTokensPerMinutePerAddress'
>

const wrongInvitationsPerMinute = 10
const typingPerMinute = 600

/** How often someone may do something. What is refused is not counted. Addresses of one IPv6 network count as one. */
export class Limits {
  readonly #messagesOfUser: RateLimiterAbstract
  readonly #messagesOfAddress: RateLimiterAbstract
  readonly #signIns: RateLimiterAbstract
  readonly #wrongInvitations: RateLimiterAbstract
  readonly #typing: RateLimiterAbstract
  readonly #mutations: RateLimiterAbstract
  readonly #maxWrongTokens: number
  /** For this node alone: it is asked for each request, and must not cost a way to Redis. */
  readonly #wrongTokens = new LRUCache<string, number>({ max: 50_000, ttl: 60_000, noUpdateTTL: true })
  readonly #counted = new LRUCache<string, true>({ max: 50_000, ttl: 60_000 })

  /** @param redis counts for all nodes together; null for a single one */
  constructor(config: Settings, redis: Redis | null = null) {
    this.#messagesOfUser = perMinute(config.rateLimitPerMinute, 'messages-of-user', redis)
    this.#messagesOfAddress = perMinute(config.rateLimitPerMinutePerAddress, 'messages-of-address', redis)
    this.#signIns = perMinute(config.rateLimitPerMinutePerAddress, 'sign-ins', redis)
    this.#wrongInvitations = perMinute(wrongInvitationsPerMinute, 'wrong-invitations', redis)
    this.#typing = perMinute(typingPerMinute, 'typing', redis)
    // who may send more messages than that must be able to make the sessions for them
    const mutations = Math.max(config.mutationsPerMinute, config.rateLimitPerMinute)
    this.#mutations = perMinute(mutations, 'mutations', redis)
    this.#maxWrongTokens = config.wrongTokensPerMinutePerAddress
  }

  /**
   * Counts a message for its author and their address; one that is sent again under its id is counted once.
   * @returns what takes it back, where it is refused for another reason
   * @throws RateLimitedError
   */
  async message(userId: string, address: string, messageId: string): Promise<() => Promise<void>> {
    const key = `${userId} ${messageId}`
    const network = networkOf(address)
    if (this.#counted.has(key)) return async () => undefined
    // noted before anything is awaited: the repeats may be under way at the same time
    this.#counted.set(key, true)
    const giveBack = async (...of: [RateLimiterAbstract, string][]): Promise<void> => {
      this.#counted.delete(key)
      await Promise.all(of.map(([limiter, whose]) => limiter.reward(whose)))
    }
    // both at once: each may be a way to Redis
    const [ofUser, ofAddress] = await Promise.allSettled([
      take(this.#messagesOfUser, userId, 'You are sending messages too fast.'),
      take(this.#messagesOfAddress, network, 'Too many messages are sent from your address.'),
    ])
    if (ofUser.status === 'fulfilled' && ofAddress.status === 'fulfilled')
      return () => giveBack([this.#messagesOfUser, userId], [this.#messagesOfAddress, network])
    if (ofUser.status === 'fulfilled') await giveBack([this.#messagesOfUser, userId])
    else if (ofAddress.status === 'fulfilled') await giveBack([this.#messagesOfAddress, network])
    else await giveBack()
    throw ofUser.status === 'rejected' ? ofUser.reason : (ofAddress as PromiseRejectedResult).reason
  }

  /**
   * Counts any other change that a user makes.
   * @throws RateLimitedError
   */
  async mutation(userId: string): Promise<void> {
    await take(this.#mutations, userId, 'You are changing things too fast.')
  }

  /**
   * Finds out by `verify` who asks with a token, unless their address has sent too many wrong ones: those that follow are
   * not looked at.
   * @param token null or undefined for the anonymous, whom this does not concern
   * @throws RateLimitedError, or what `verify` throws
   */
  async token<Verified>(address: string, token: unknown, verify: () => Promise<Verified>): Promise<Verified> {
    if (token == null) return verify()
    const network = networkOf(address)
    if ((this.#wrongTokens.get(network) ?? 0) >= this.#maxWrongTokens)
      throw tooMany('Too many wrong tokens came from your address.', this.#wrongTokens.getRemainingTTL(network))
    try {
      return await verify()
    } catch (error) {
      if (error instanceof UnauthenticatedError)
        this.#wrongTokens.set(network, (this.#wrongTokens.get(network) ?? 0) + 1)
      throw error
    }
  }

  /** @throws RateLimitedError */
  async signIn(address: string): Promise<void> {
    await take(this.#signIns, networkOf(address), 'Too many accounts are made from your address.')
  }

  /**
   * Refuses an address that has tried too many wrong tokens, whether the next one is right or not.
   * @throws RateLimitedError
   */
  async invitation(address: string): Promise<void> {
    const counted = await this.#wrongInvitations.get(networkOf(address))
    if (counted && counted.consumedPoints >= wrongInvitationsPerMinute && counted.msBeforeNext > 0) {
      throw tooMany('Too many wrong invitations came from your address.', counted.msBeforeNext)
    }
  }

  async wrongInvitation(address: string): Promise<void> {
    await this.#wrongInvitations.penalty(networkOf(address))
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
