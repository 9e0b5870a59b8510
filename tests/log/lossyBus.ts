import type { Bus, Unsubscribe } from '../../server/bus/bus.ts'
import { MemoryBus } from '../../server/bus/memoryBus.ts'
import type { Topics } from '../../server/topics.ts'
import type { Random } from '../support/random.ts'

export interface Losses {
  /** How likely a message is lost, delivered late, delivered twice. */
  drop: number
  late: number
  twice: number
}

/** A bus between nodes on a bad day: it loses messages, delivers them late, so out of order, and twice. */
export class LossyBus implements Bus<Topics> {
  readonly isUp = true
  readonly #bus = new MemoryBus<Topics>()
  readonly #random: Random
  readonly #losses: Losses
  lost = 0

  constructor(random: Random, losses: Losses) {
    this.#random = random
    this.#losses = losses
  }

  publish<T extends keyof Topics>(topic: T, key: string, message: Topics[T]): void {
    const { drop, late, twice } = this.#losses
    const times = this.#random.chance(drop) ? 0 : this.#random.chance(twice) ? 2 : 1
    if (times === 0) this.lost++
    for (let time = 0; time < times; time++)
      if (this.#random.chance(late)) setTimeout(() => this.#bus.publish(topic, key, message), this.#random.int(0, 5))
      else this.#bus.publish(topic, key, message)
  }

  subscribe<T extends keyof Topics>(
    topic: T,
    key: string,
    handler: (message: Topics[T]) => void,
  ): Promise<Unsubscribe> {
    return this.#bus.subscribe(topic, key, handler)
  }

  close(): Promise<void> {
    return this.#bus.close()
  }
}
