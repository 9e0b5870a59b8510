import type { Redis } from 'ioredis'

/** Who is connected to other nodes. */
export interface Directory {
  /** Enters a user of this node. Resolves to whether they are connected to another one as well. */
  enter(userId: string): Promise<boolean>
  /** Takes a user of this node out. Resolves to whether they are connected to another one still. */
  leave(userId: string): Promise<boolean>
  /** Which of these people are connected to other nodes. */
  elsewhere(userIds: readonly string[]): Promise<Set<string>>
  /** Says that those whom this node has entered are still here. */
  refresh(userIds: Iterable<string>): Promise<void>
}

/** The directory of a single node: nobody is anywhere else. */
export const noDirectory: Directory = {
  enter: async () => false,
  leave: async () => false,
  elsewhere: async () => new Set(),
  refresh: async () => undefined,
}

/** An entry that is not refreshed for so long is of a node that is gone. */
const entryMs = 30_000

/** A directory in Redis: for each user the nodes that they are connected to, each with when its entry ends. */
export class RedisDirectory implements Directory {
  readonly #redis: Redis
  readonly #nodeId: string

  constructor(redis: Redis, nodeId: string) {
    this.#redis = redis
    this.#nodeId = nodeId
  }

  async enter(userId: string): Promise<boolean> {
    await this.refresh([userId])
    return (await this.elsewhere([userId])).has(userId)
  }

  async leave(userId: string): Promise<boolean> {
    if (this.#redis.status !== 'ready') return false
    await this.#redis.zrem(keyOf(userId), this.#nodeId)
    return (await this.elsewhere([userId])).has(userId)
  }

  async elsewhere(userIds: readonly string[]): Promise<Set<string>> {
    if (userIds.length === 0 || this.#redis.status !== 'ready') return new Set()
    const pipeline = this.#redis.pipeline()
    for (const userId of userIds) pipeline.zrange(keyOf(userId), Date.now(), '+inf', 'BYSCORE')
    const results = (await pipeline.exec()) ?? []
    return new Set(userIds.filter((_, index) => this.#isElsewhere(results[index]?.[1])))
  }

  async refresh(userIds: Iterable<string>): Promise<void> {
    if (this.#redis.status !== 'ready') return
    const pipeline = this.#redis.pipeline()
    for (const userId of userIds) {
      pipeline.zadd(keyOf(userId), Date.now() + entryMs, this.#nodeId)
      pipeline.pexpire(keyOf(userId), entryMs)
    }
    await pipeline.exec()
  }

  #isElsewhere(nodes: unknown): boolean {
    return Array.isArray(nodes) && nodes.some((node) => node !== this.#nodeId)
  }
}

const keyOf = (userId: string): string => `parley:online:${userId}`
