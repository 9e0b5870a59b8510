import { once } from 'node:events'
import type { Redis } from 'ioredis'
import type { Bus, Unsubscribe } from './bus.ts'
import { MemoryBus } from './memoryBus.ts'
import { Subscriptions } from './subscriptions.ts'

/** Dates do not survive JSON; every message's are under this name. */
const revive = (key: string, value: unknown): unknown =>
  key === 'createdAt' && typeof value === 'string' ? new Date(value) : value

/** How often both connections are asked whether they live: one that nothing is sent over would not tell. */
const pingMs = 3_000

/**
 * The bus of several nodes: a message goes to this node's handlers at once and to the others through Redis. What Redis
 * loses is lost; while it is away, or refuses a subscription, this node goes on by itself.
 */
export class RedisBus<Topics> implements Bus<Topics> {
  readonly #here: MemoryBus<Topics>
  readonly #nodeId: string
  readonly #publisher: Redis
  readonly #subscriber: Redis
  readonly #subscriptions: Subscriptions
  /** Handlers of this node for each channel. */
  readonly #channels = new Map<string, number>()
  readonly #pinging: NodeJS.Timeout

  /**
   * @param onError gets what handlers throw
   * @param onRefused gets why a subscription failed on a connection that is up; it is tried again
   */
  constructor(
    redis: Redis,
    nodeId: string,
    onError: (error: unknown) => void,
    onRefused: (error: unknown) => void = () => undefined,
  ) {
    this.#here = new MemoryBus<Topics>(onError)
    this.#nodeId = nodeId
    this.#publisher = redis
    // A connection that subscribes can do nothing else. ioredis' own resubscribing would end the process where it is
    // refused: nobody catches that.
    this.#subscriber = redis.duplicate({ autoResubscribe: false })
    this.#subscriber.on('error', () => undefined)
    this.#subscriber.on('message', (channel, text) => {
      try {
        this.#receive(channel, text)
      } catch (error) {
        onError(error)
      }
    })
    this.#subscriptions = new Subscriptions(this.#subscriber, onRefused)
    this.#pinging = setInterval(() => {
      for (const connection of [this.#publisher, this.#subscriber])
        if (connection.status === 'ready') connection.ping().catch(() => undefined)
    }, pingMs)
  }

  get isUp(): boolean {
    return (
      this.#publisher.status === 'ready' && this.#subscriber.status === 'ready' && !this.#subscriptions.isAnyRefused
    )
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
    this.#channels.set(channel, (this.#channels.get(channel) ?? 0) + 1)
    await this.#subscriptions.add(channel)
    let isSubscribed = true
    return () => {
      if (!isSubscribed) return
      isSubscribed = false
      leave()
      const left = this.#channels.get(channel)! - 1
      if (left > 0) return void this.#channels.set(channel, left)
      this.#channels.delete(channel)
      this.#subscriptions.remove(channel)
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#pinging)
    this.#subscriptions.close()
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
