import type { Redis } from 'ioredis'

const firstRetryMs = 100
const longestRetryMs = 5_000

/** The channels that one connection is to be subscribed to: again after each reconnect, and until Redis agrees. */
export class Subscriptions {
  readonly #connection: Redis
  readonly #onRefused: (error: unknown) => void
  readonly #wanted = new Set<string>()
  /** Those that Redis has confirmed on the connection of now. */
  readonly #live = new Set<string>()
  /** Those that failed although the connection was up. */
  readonly #refused = new Set<string>()
  /** Moves on with whatever ends subscriptions: what Redis confirmed before says nothing any more. */
  #epoch = 0
  #timer: NodeJS.Timeout | undefined
  #waitMs = firstRetryMs

  /** @param onRefused gets the first of several failures in a row */
  constructor(connection: Redis, onRefused: (error: unknown) => void) {
    this.#connection = connection
    this.#onRefused = onRefused
    connection.on('close', () => {
      this.#live.clear()
      this.#epoch++
    })
    // also what was asked for while Redis was away
    connection.on('ready', () => void this.#subscribe([...this.#wanted]))
  }

  get isAnyRefused(): boolean {
    return this.#refused.size > 0
  }

  /**
   * Resolves once the channel is live. Where Redis is away or refuses it nobody waits: the slow look at the database
   * stands in until it is.
   */
  async add(channel: string): Promise<void> {
    this.#wanted.add(channel)
    if (!this.#live.has(channel)) await this.#subscribe([channel])
  }

  remove(channel: string): void {
    this.#epoch++
    this.#wanted.delete(channel)
    this.#live.delete(channel)
    this.#refused.delete(channel)
    if (this.#connection.status === 'ready') this.#connection.unsubscribe(channel).catch(() => undefined)
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#wanted.clear()
    this.#refused.clear()
  }

  async #subscribe(channels: string[]): Promise<void> {
    if (channels.length === 0 || this.#connection.status !== 'ready') return
    const epoch = this.#epoch
    try {
      await this.#connection.subscribe(...channels)
      this.#waitMs = firstRetryMs
      for (const channel of channels) {
        this.#refused.delete(channel)
        if (epoch === this.#epoch) this.#live.add(channel)
      }
    } catch (error) {
      // what is lost with its connection is asked for again on the next one
      if (this.#connection.status !== 'ready') return
      if (!this.isAnyRefused) this.#onRefused(error)
      for (const channel of channels)
        if (this.#wanted.has(channel) && !this.#live.has(channel)) this.#refused.add(channel)
      this.#retryLater()
    }
  }

  #retryLater(): void {
    if (this.#timer || !this.isAnyRefused) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      void this.#subscribe([...this.#refused])
    }, this.#waitMs)
    this.#waitMs = Math.min(this.#waitMs * 2, longestRetryMs)
  }
}
