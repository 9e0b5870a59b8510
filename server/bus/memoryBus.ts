import type { Bus, Unsubscribe } from './bus.ts'

type Handler = (message: unknown) => void

/** The bus of a single node: a call to each handler. */
export class MemoryBus<Topics> implements Bus<Topics> {
  readonly isUp = true
  readonly #handlers = new Map<string, Set<Handler>>()
  readonly #onError: (error: unknown) => void

  /** @param onError gets what a handler throws: whoever publishes has stored something, and must not take it for failed */
  constructor(onError: (error: unknown) => void = throwLater) {
    this.#onError = onError
  }

  publish<T extends keyof Topics & string>(topic: T, key: string, message: Topics[T]): void {
    const handlers = this.#handlers.get(`${topic}:${key}`)
    if (!handlers) return
    for (const handler of handlers)
      try {
        handler(message)
      } catch (error) {
        this.#onError(error)
      }
  }

  async subscribe<T extends keyof Topics & string>(
    topic: T,
    key: string,
    handler: (message: Topics[T]) => void,
  ): Promise<Unsubscribe> {
    const name = `${topic}:${key}`
    const own: Handler = (message) => handler(message as Topics[T])
    let handlers = this.#handlers.get(name)
    if (!handlers) this.#handlers.set(name, (handlers = new Set()))
    handlers.add(own)
    return () => {
      handlers.delete(own)
      if (handlers.size === 0 && this.#handlers.get(name) === handlers) this.#handlers.delete(name)
    }
  }

  async close(): Promise<void> {
    this.#handlers.clear()
  }
}

function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}
