import type { GraphQLError } from 'graphql'
import type { ExecutionResult, Sink } from 'graphql-ws'
import { fullJitter } from './backoff.ts'
import { positionAlias } from './position.ts'

/** Where a log goes on that has no such position as was asked for. */
export interface Resync {
  sessionId: string
  /** Undefined where the subscription does not ask for it. */
  lastSeq: number | undefined
}

/** What a subscription asks for; `after`, where `variables` has it, moves on with every event that has a `seq`. */
export interface FollowRequest {
  query: string
  operationName?: string | undefined
  variables?: Record<string, unknown> | undefined
}

/** Subscribes once, as graphql-ws's `client.subscribe` does; it may reconnect and send the request again by itself. */
export type SubscribeOnce = (request: FollowRequest, sink: Sink<ExecutionResult>) => () => void

export interface FollowOptions {
  /** Waits before the subscription is made again. Default: full jitter, at most 20 s. */
  wait?: (failures: number) => Promise<void>
  /**
   * Runs where the position was none in the log, to read anew what was built from it. Nothing follows until it is done;
   * then whatever comes after the `lastSeq` that it gives, or that of the `Resync`. Where it throws, it is run again.
   */
  onResync?: ((resync: Resync) => ResyncResult) | undefined
  /** Gets another token; false where there is none, which ends it. */
  renew?: () => Promise<boolean>
}

export type ResyncResult = number | undefined | void | Promise<number | undefined | void>

/** Codes after which asking again can't help. */
const finalCodes = new Set<unknown>([
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'NOT_FOUND',
  'INVALID_INPUT',
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
])

interface FollowedEvent {
  __typename?: string
  seq?: number | null
  /** The same, where the document asks for `seq` in fragments. */
  [positionAlias]?: number | null
  lastSeq?: number
}

/**
 * Follows a subscription for as long as it makes sense, across lost connections, servers that end it and errors.
 * It goes on from the last `seq` seen and drops repeats. Ends only when unsubscribed, after `SessionDeleted`, or with
 * an error whose code says that asking again can't help. A result with `data: null` and errors tells of an event
 * that could not be shown: it is passed on, and the next one follows.
 */
export function follow(
  subscribe: SubscribeOnce,
  request: FollowRequest,
  sink: Sink<ExecutionResult>,
  {
    wait = (failures) => new Promise((resolve) => setTimeout(resolve, fullJitter(failures))),
    onResync,
    renew,
  }: FollowOptions = {},
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

  /** Gives the current attempt up; what it still says goes unheard. */
  function giveUp() {
    attempt += 1
    unsubscribe?.()
    unsubscribe = undefined
  }

  async function again() {
    giveUp()
    await wait(failures++)
    if (!ended) start()
  }

  async function resync(event: FollowedEvent) {
    giveUp()
    try {
      cursor =
        (await onResync!({ sessionId: request.variables?.sessionId as string, lastSeq: event.lastSeq })) ??
        event.lastSeq
    } catch {
      // Asked again from the same place, the server says Resync again.
      await wait(failures++)
    }
    if (!ended) start()
  }

  async function againWithAnotherToken(error: unknown) {
    giveUp()
    // Where none could be asked for now, the old one will do to find out later.
    const isRenewed = await renew!().catch(() => true)
    if (ended) return
    if (isRenewed) await again()
    else end(() => sink.error(error))
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
          if (result.errors?.length && result.data === undefined) return failed(result.errors)
          const event = eventOf(result)
          const seq = event?.[positionAlias] ?? event?.seq
          if (typeof seq === 'number') {
            if (cursor !== undefined && seq <= cursor) return
            cursor = seq
          }
          if (event && event.__typename !== 'Resync') failures = 0
          if (event?.__typename === 'Resync' && !onResync) cursor = event.lastSeq
          sink.next(result)
          if (event?.__typename === 'Resync' && onResync && live()) void resync(event)
          if (event?.__typename === 'SessionDeleted') end(() => sink.complete())
        },
        error(error) {
          if (live()) failed(error)
        },
        complete() {
          if (live()) void again()
        },
      },
    )
    if (live()) unsubscribe = stop
    else stop()
  }

  function failed(error: unknown) {
    const codes = codesOf(error)
    if (renew && codes.includes('UNAUTHENTICATED')) void againWithAnotherToken(error)
    else if (codes.some((code) => finalCodes.has(code))) end(() => sink.error(error))
    else void again()
  }

  start()
  return () => end(() => {})
}

function eventOf(result: ExecutionResult): FollowedEvent | undefined {
  return result.data ? ((Object.values(result.data)[0] as FollowedEvent | null) ?? undefined) : undefined
}

function codesOf(error: unknown): unknown[] {
  return Array.isArray(error) ? (error as GraphQLError[]).map(({ extensions }) => extensions?.code) : []
}
