import type { ExecutionArgs, ExecutionResult } from 'graphql'
import type { Config } from '../config/config.ts'
import type { Context } from '../context.ts'
import { RateLimitedError, UnauthenticatedError } from '../errors.ts'
import { toGraphQLError } from '../schema/errors.ts'
import { subscribe } from '../schema/subscribe.ts'
import { at } from './at.ts'
import { IteratorOutlet } from './iteratorOutlet.ts'
import type { SharedFollows } from './sharedFollow.ts'

const expired = 'The token has expired. Sign in again and subscribe from the last seq.'
const revoked = 'The token was revoked. Sign in again and subscribe from the last seq.'

/** Subscriptions over Server-Sent Events: in the same groups as those over WebSocket, for a reader who pulls. */
export class EventStreams {
  readonly #shared: SharedFollows
  readonly #limits: Pick<Config, 'maxEventStreamsPerUser'>
  readonly #openOf = new Map<string, number>()
  #open = 0

  constructor(shared: SharedFollows, limits: Pick<Config, 'maxEventStreamsPerUser'>) {
    this.#shared = shared
    this.#limits = limits
  }

  count(): number {
    return this.#open
  }

  async subscribe(args: ExecutionArgs): Promise<AsyncGenerator<ExecutionResult, void, void> | ExecutionResult> {
    const context = args.contextValue as Context
    // counted before anything is awaited: others may be opened at the same time
    const release = this.#count(context.viewer?.id)
    if (!release) {
      const limit = this.#limits.maxEventStreamsPerUser
      return { errors: [toGraphQLError(new RateLimitedError(`At most ${limit} event streams a user. End one.`, 1000))] }
    }
    try {
      const outlet = new IteratorOutlet()
      const ending = await this.#shared.subscribe(args, { outlet, opening: '', closing: '' })
      const results = ending ? outlet.endWith(ending) : await subscribe(args)
      if (Symbol.asyncIterator in results) return this.#counted(results, context, release)
      release()
      return results
    } catch (error) {
      release()
      throw error
    }
  }

  /** Takes one of the places that a user has; undefined where there is none left. The anonymous have nothing to follow. */
  #count(userId = ''): (() => void) | undefined {
    const count = (this.#openOf.get(userId) ?? 0) + 1
    if (userId && count > this.#limits.maxEventStreamsPerUser) return undefined
    this.#openOf.set(userId, count)
    return () => {
      const left = this.#openOf.get(userId)! - 1
      if (left === 0) this.#openOf.delete(userId)
      else this.#openOf.set(userId, left)
    }
  }

  /** Whoever reads an event stream is online, like whoever has a socket, and for as long as their token lasts. */
  #counted(
    results: AsyncGenerator<ExecutionResult, void, void>,
    context: Context,
    release: () => void,
  ): AsyncGenerator<ExecutionResult, void, void> {
    const { identity, presence, viewer, expiresAt, credential } = context
    this.#open++
    const disconnected = viewer ? presence.connected(viewer.id) : () => undefined
    let isOpen = true
    let reason: string | undefined
    const end = (why: string): void => {
      reason = why
      // a `next` that waits is over by this
      void results.return()
    }
    const stopTimer = expiresAt ? at(expiresAt, () => end(expired)) : () => undefined
    const stopWatching = credential ? identity.onRevoked(credential, () => end(revoked)) : () => undefined
    const close = (): void => {
      if (!isOpen) return
      isOpen = false
      stopTimer()
      stopWatching()
      release()
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
        if (reason !== undefined && isOpen) {
          close()
          return { done: false, value: { errors: [toGraphQLError(new UnauthenticatedError(reason))] } }
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
