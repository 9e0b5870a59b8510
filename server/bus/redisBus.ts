import { once } from 'node:events'
import type { Redis } from 'ioredis'
import type { Bus, Unsubscribe } from './bus.ts'
import { MemoryBus } from './memoryBus.ts'

/** Dates do not survive JSON; every message's are under this name. */
const revive = (key: string, value: unknown): unknown =>
  key === 'createdAt' && typeof value === 'string' ? new Date(value) : value

/**
 * The bus of several nodes: a message goes to this node's handlers at once and to the others through Redis. What Redis
 * loses is lost; while it is away this node goes on by itself.
 */
export class RedisBus<Topics> implements Bus<Topics> {
  readonly #here: MemoryBus<Topics>
  readonly #nodeId: string
  readonly #publisher: Redis
  readonly #subscriber: Redis
  /** Handlers of this node for each channel. */
  readonly #channels = new Map<string, number>()

  /** @param onError gets what handlers throw */
  constructor(redis: Redis, nodeId: string, onError: (error: unknown) => void) {
    this.#here = new MemoryBus<Topics>(onError)
    this.#nodeId = nodeId
    this.#publisher = redis
    // a connection that subscribes can do nothing else
    this.#subscriber = redis.duplicate()
    this.#subscriber.on('error', () => undefined)
    this.#subscriber.on('message', (channel, text) => {
      try {
        this.#receive(channel, text)
      } catch (error) {
        onError(error)
      }
    })
    // also what was asked for while Redis was away
    this.#subscriber.on('ready', () => {
      if (this.#channels.size > 0) this.#subscriber.subscribe(...this.#channels.keys()).catch(() => undefined)
    })
  }

  get isUp(): boolean {
    return this.#publisher.status === 'ready' && this.#subscriber.status === 'ready'
  }

  /** Resolves once Redis answers, or after so many milliseconds without it. */
  async untilUp(timeoutMs: number): Promise<void> {
    const signal = AbortSignal.timeout(timeoutMs)
    for (const connection of [this.#publisher, this.#subscriber])
      if (connection.status !== 'ready') await once(connection, 'ready', { signal }).catch(() => undefined)
  }

  publish<T extends keyof Topics & string>(topic: T, key: string, message: Topics[T]): void {
    this.#here.publish(topic, key, message)
    if (this.#publisher.status !== 'ready') return
    this.#publisher
      .publish(channelOf(topic, key), JSON.stringify({ from: this.#nodeId, topic, key, message }))
      .catch(() => undefined)
  }

  async subscribe<T extends keyof Topics & string>(
    topic: T,
    key: string,
    handler: (message: Topics[T]) => void,
  ): Promise<Unsubscribe> {
    const channel = channelOf(topic, key)
    const leave = await this.#here.subscribe(topic, key, handler)
    const count = this.#channels.get(channel) ?? 0
    this.#channels.set(channel, count + 1)
    // awaited also where another handler asked first: its own may still be under way. While Redis is away nobody waits:
    // the slow look at the database stands in, and `ready` subscribes later.
    if (this.#subscriber.status === 'ready') await this.#subscriber.subscribe(channel).catch(() => undefined)
    let isSubscribed = true
    return () => {
      if (!isSubscribed) return
      isSubscribed = false
      leave()
      const left = this.#channels.get(channel)! - 1
      if (left > 0) return void this.#channels.set(channel, left)
      this.#channels.delete(channel)
      if (this.#subscriber.status === 'ready') this.#subscriber.unsubscribe(channel).catch(() => undefined)
    }
  }

  async close(): Promise<void> {
    this.#subscriber.disconnect()
    await this.#here.close()
  }

  #receive(channel: string, text: string): void {
    const { from, topic, key, message } = JSON.parse(text, revive) as {
      from: string
      topic: keyof Topics & string
      key: string
      message: Topics[keyof Topics & string]
    }
    if (from !== this.#nodeId && channel === channelOf(topic, key)) this.#here.publish(topic, key, message)
  }
}

const channelOf = (topic: string, key: string): string => `parley:${topic}:${key}`
