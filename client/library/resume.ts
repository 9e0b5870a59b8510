import type { GraphQLError } from 'graphql'
import type { ExecutionResult, Sink } from 'graphql-ws'
import { fullJitter } from './backoff.ts'

/** What a subscription asks for; `after`, where `variables` has it, moves on with every event that has a `seq`. */
export interface FollowRequest {
  query: string
  operationName?: string | undefined
  variables?: Record<string, unknown>
}

/** Subscribes once, as graphql-ws's `client.subscribe` does; it may reconnect and send the request again by itself. */
export type SubscribeOnce = (request: FollowRequest, sink: Sink<ExecutionResult>) => () => void

export interface FollowOptions {
  /** Waits before the subscription is made again. Default: full jitter, at most 20 s. */
  wait?: (failures: number) => Promise<void>
}

/** Codes after which asking again can't help. */
const finalCodes = new Set<unknown>(['UNAUTHENTICATED', 'FORBIDDEN', 'NOT_FOUND'])

interface FollowedEvent {
  __typename?: string
  seq?: number | null
  lastSeq?: number
}

/**
 * Follows a subscription for as long as it makes sense, across lost connections, servers that end it and errors.
 * It goes on from the last `seq` seen and drops repeats. Ends only when unsubscribed, after `SessionDeleted`, or with
 * an error whose code is UNAUTHENTICATED, FORBIDDEN or NOT_FOUND. A result with `data: null` and errors tells of an event
 * that could not be shown: it is passed on, and the next one follows.
 */
export function follow(
  subscribe: SubscribeOnce,
  request: FollowRequest,
  sink: Sink<ExecutionResult>,
  { wait = (failures) => new Promise((resolve) => setTimeout(resolve, fullJitter(failures))) }: FollowOptions = {},
): () => void {
  let cursor = typeof request.variables?.after === 'number' ? request.variables.after : undefined
  let failures = 0
  let ended = false
  let attempt = 0
  let unsubscribe: (() => void) | undefined

  // graphql-ws turns the request into JSON anew on every reconnect, so a getter makes each one go on from where it was.
  const variables =
    request.variables && 'after' in request.variables
      ? Object.defineProperty({ ...request.variables }, 'after', { enumerable: true, get: () => cursor })
      : request.variables

  function end(finish: () => void) {
    if (ended) return
    ended = true
    unsubscribe?.()
    finish()
  }

  async function again(failed: number) {
    if (ended || failed !== attempt) return
    attempt += 1
    unsubscribe?.()
    await wait(failures++)
    if (!ended) start()
  }

  function start() {
    const current = attempt
    // An ended attempt may still speak while its socket closes; only the current one is heard.
    const live = () => !ended && current === attempt
    const stop = subscribe(
      { ...request, variables },
      {
        next(result) {
          if (!live()) return
          // Errors beside data, be it null, tell of one event that could not be shown; it has no seq to go on from.
          if (result.errors?.length && result.data === undefined) return failed(result.errors, current)
          const event = eventOf(result)
          if (typeof event?.seq === 'number') {
            if (cursor !== undefined && event.seq <= cursor) return
            cursor = event.seq
          }
          if (event?.__typename === 'Resync' && typeof event.lastSeq === 'number') cursor = event.lastSeq
          if (event) failures = 0
          sink.next(result)
          if (event?.__typename === 'SessionDeleted') end(() => sink.complete())
        },
        error(error) {
          if (live()) failed(error, current)
        },
        complete() {
          if (live()) void again(current)
        },
      },
    )
    if (live()) unsubscribe = stop
    else stop()
  }

  function failed(error: unknown, current: number) {
    if (isFinal(error)) end(() => sink.error(error))
    else void again(current)
  }

  start()
  return () => end(() => {})
}

function eventOf(result: ExecutionResult): FollowedEvent | undefined {
  return result.data ? ((Object.values(result.data)[0] as FollowedEvent | null) ?? undefined) : undefined
}

function isFinal(error: unknown): boolean {
  return Array.isArray(error) && (error as GraphQLError[]).some(({ extensions }) => finalCodes.has(extensions?.code))
}
