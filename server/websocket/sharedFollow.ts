import type { ExecutionArgs, ExecutionResult } from 'graphql'
import type { Context } from '../context.ts'
import { ParleyError } from '../errors.ts'
import { authorizeFollow } from '../resolvers/follow.ts'
import { accessLost } from '../log/sessionLog.ts'
import { toGraphQLError } from '../schema/errors.ts'
import { Group, type GroupEnd } from './group.ts'
import type { Outlet } from './outlet.ts'
import { createRenderer } from './render.ts'
import { Sharing } from './shareable.ts'

/** What a transport adds to an operation: how its frames look and where they go. */
export interface Delivery {
  outlet: Outlet
  /** What stands before and behind a payload in this subscription's frames. */
  opening: string
  closing: string
}

/** The groups of one node: subscriptions to sessions, executed once for all who ask the same. */
export class SharedFollows {
  readonly #sharing = new Sharing()
  readonly #groups = new Map<string, Group>()

  /**
   * Joins a subscription to those that get the same results. Its frames go to the outlet directly; the iterator only ends.
   * @returns undefined where it can't be shared or may not be followed: then it is to be executed as documented, which
   * also says what is wrong
   */
  async subscribe(
    args: ExecutionArgs,
    delivery: Delivery,
  ): Promise<AsyncGenerator<ExecutionResult, void, void> | undefined> {
    const context = args.contextValue as Context
    if (!context.viewer) return undefined
    const viewerId = context.viewer.id
    const shared = this.#sharing.describe(args, viewerId)
    if (!shared) return undefined
    const ending = new Ending()
    try {
      // nobody makes the server follow what they may not; the group asks again once it hears of removals
      if (!this.#groups.has(shared.key)) await authorizeFollow(context, shared)
      ending.onReturn = await this.#group(shared.key, shared.sessionId, args, context).join({
        ...delivery,
        viewerId,
        after: shared.after,
        authorize: () => authorizeFollow(context, shared),
        onEnd: endOf(ending),
      })
    } catch {
      return undefined
    }
    return ending
  }

  groupCount(): number {
    return this.#groups.size
  }

  /** How many events each follower is behind. */
  lags(): number[] {
    return [...this.#groups.values()].flatMap((group) => group.lags())
  }

  #group(key: string, sessionId: string, args: ExecutionArgs, context: Context): Group {
    let group = this.#groups.get(key)
    if (!group) {
      const created: Group = new Group(context.log, sessionId, createRenderer(args, context), () => {
        if (this.#groups.get(key) === created) this.#groups.delete(key)
      })
      this.#groups.set(key, (group = created))
    }
    return group
  }
}

/** Made apart from where the context is: it is kept as long as the subscription, and would keep that. */
const endOf =
  (ending: Ending) =>
  (end: GroupEnd): void =>
    ending.end(errorOf(end))

function errorOf(end: GroupEnd): ParleyError | null {
  if (end === 'access-lost') return accessLost()
  if (end === 'failed')
    return new ParleyError('INTERNAL', "The session's events can't be read now. Subscribe again from the last seq.")
  return null
}

/** The iterator of a subscription whose frames go another way: it waits for the end, and gives at most an error. */
class Ending implements AsyncGenerator<ExecutionResult, void, void> {
  onReturn: () => void = () => undefined
  #results: ExecutionResult[] = []
  #isOver = false
  #wake: (() => void) | undefined

  end(error: Error | null): void {
    if (error) this.#results.push({ errors: [toGraphQLError(error)] })
    this.#isOver = true
    this.#wake?.()
  }

  next(): Promise<IteratorResult<ExecutionResult, void>> {
    if (this.#isOver) return Promise.resolve(this.#take())
    // not by `async`: there is one for each follower, and what it would keep is a good part of their memory
    return new Promise((resolve) => (this.#wake = () => resolve(this.#take())))
  }

  #take(): IteratorResult<ExecutionResult, void> {
    const value = this.#results.shift()
    return value ? { done: false, value } : { done: true, value: undefined }
  }

  async return(): Promise<IteratorResult<ExecutionResult, void>> {
    this.onReturn()
    this.end(null)
    return { done: true, value: undefined }
  }

  async throw(): Promise<IteratorResult<ExecutionResult, void>> {
    return this.return()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }
}
