import type { ExecutionArgs, ExecutionResult } from 'graphql'
import type { Context } from '../context.ts'
import { subscribe } from '../schema/subscribe.ts'
import { IteratorOutlet } from './iteratorOutlet.ts'
import type { SharedFollows } from './sharedFollow.ts'

/** Subscriptions over Server-Sent Events: in the same groups as those over WebSocket, for a reader who pulls. */
export class EventStreams {
  readonly #shared: SharedFollows
  #open = 0

  constructor(shared: SharedFollows) {
    this.#shared = shared
  }

  count(): number {
    return this.#open
  }

  async subscribe(args: ExecutionArgs): Promise<AsyncGenerator<ExecutionResult, void, void> | ExecutionResult> {
    const outlet = new IteratorOutlet()
    const ending = await this.#shared.subscribe(args, { outlet, frame: (payload) => payload })
    const results = ending ? outlet.endWith(ending) : await subscribe(args)
    if (!(Symbol.asyncIterator in results)) return results
    return this.#counted(results, args.contextValue as Context)
  }

  /** Whoever reads an event stream is online, like whoever has a socket. */
  #counted(
    results: AsyncGenerator<ExecutionResult, void, void>,
    { presence, viewer }: Context,
  ): AsyncGenerator<ExecutionResult, void, void> {
    this.#open++
    const disconnected = viewer ? presence.connected(viewer.id) : () => undefined
    let isOpen = true
    const close = (): void => {
      if (!isOpen) return
      isOpen = false
      this.#open--
      disconnected()
    }
    const counted: AsyncGenerator<ExecutionResult, void, void> = {
      async next() {
        const result = await results.next()
        if (result.done) close()
        return result
      },
      return() {
        close()
        return results.return()
      },
      throw(error) {
        close()
        return results.throw(error)
      },
      [Symbol.asyncIterator]: () => counted,
      async [Symbol.asyncDispose]() {
        await counted.return()
      },
    }
    return counted
  }
}
