import { at } from './at.ts'

interface Group<Item> {
  items: Set<Item>
  stop(): void
}

/** Tells of each item when its time has come; with one timer for all of the same time, as the sockets of one token are. */
export class Expiries<Item> {
  readonly #groups = new Map<number, Group<Item>>()
  readonly #onExpired: (item: Item) => void

  constructor(onExpired: (item: Item) => void) {
    this.#onExpired = onExpired
  }

  add(time: Date, item: Item): void {
    const key = time.getTime()
    let group = this.#groups.get(key)
    if (!group) this.#groups.set(key, (group = { items: new Set(), stop: at(time, () => this.#expire(key)) }))
    group.items.add(item)
  }

  delete(time: Date, item: Item): void {
    const group = this.#groups.get(time.getTime())
    if (!group?.items.delete(item) || group.items.size > 0) return
    group.stop()
    this.#groups.delete(time.getTime())
  }

  #expire(key: number): void {
    const { items } = this.#groups.get(key)!
    this.#groups.delete(key)
    for (const item of items) this.#onExpired(item)
  }
}
