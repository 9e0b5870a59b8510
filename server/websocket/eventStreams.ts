import type { ExecutionArgs, ExecutionResult } from 'graphql'
import type { Context } from '../context.ts'
import { UnauthenticatedError } from '../errors.ts'
import { toGraphQLError } from '../schema/errors.ts'
import { subscribe } from '../schema/subscribe.ts'
import { at } from './at.ts'
import { IteratorOutlet } from './iteratorOutlet.ts'
import type { SharedFollows } from './sharedFollow.ts'

const expired = 'The token has expired. Sign in again and subscribe from the last seq.'

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

  /** Whoever reads an event stream is online, like whoever has a socket, and for as long as their token lasts. */
  #counted(
    results: AsyncGenerator<ExecutionResult, void, void>,
    { presence, viewer, expiresAt }: Context,
  ): AsyncGenerator<ExecutionResult, void, void> {
    this.#open++
    const disconnected = viewer ? presence.connected(viewer.id) : () => undefined
    let isOpen = true
    let hasExpired = false
    const stopTimer = expiresAt
      ? at(expiresAt, () => {
          hasExpired = true
          // a `next` that waits is over by this
          void results.return()
        })
      : () => undefined
    const close = (): void => {
      if (!isOpen) return
      isOpen = false
      stopTimer()
      this.#open--
      disconnected()
    }
    const counted: AsyncGenerator<ExecutionResult, void, void> = {
      async next() {
        if (!isOpen) return { done: true, value: undefined }
        const result = await results.next().catch((error: unknown) => {
          close()
          throw error
        })
        if (hasExpired && isOpen) {
          close()
          return { done: false, value: { errors: [toGraphQLError(new UnauthenticatedError(expired))] } }
        }
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
