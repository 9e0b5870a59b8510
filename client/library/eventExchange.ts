import {
  makeErrorResult,
  makeOperation,
  makeResult,
  type Exchange,
  type Operation,
  type OperationResult,
} from '@urql/core'
import type { ExecutionResult, Sink } from 'graphql-ws'
import { filter, make, merge, mergeMap, pipe, takeUntil } from 'wonka'

/** Runs a subscription; gives what stops it. */
export type Run = (operation: Operation, sink: Sink<ExecutionResult>) => () => void

/**
 * Gives each result of a subscription as it came. urql's own exchange merges every result into the one before it: an
 * event that could not be shown would repeat the last one, and its error would stay with all that follow. Here an error
 * is the end where `hasNext` is false, and else belongs to one event.
 */
export function eventExchange(run: Run): Exchange {
  return ({ client, forward }) =>
    (operations) => {
      const events = pipe(
        operations,
        filter(isSubscription),
        mergeMap((operation) => {
          const torndown = filter(({ kind, key }: Operation) => kind === 'teardown' && key === operation.key)
          return pipe(resultsOf(operation), takeUntil(torndown(operations)))
        }),
      )
      const others = pipe(
        operations,
        filter((operation) => !isSubscription(operation)),
      )
      return merge([events, forward(others)])

      function resultsOf(operation: Operation) {
        return make<OperationResult>(({ next, complete }) => {
          const sink: Sink<ExecutionResult> = {
            next: (result) => next(makeResult(operation, { ...result, hasNext: true } as UrqlResult)),
            error(error) {
              next(
                Array.isArray(error)
                  ? makeResult(operation, { errors: error, hasNext: false })
                  : makeErrorResult(operation, error as Error),
              )
              complete()
            },
            complete() {
              client.reexecuteOperation(makeOperation('teardown', operation, operation.context))
              complete()
            },
          }
          let isStopped = false
          let stop = () => {}
          // Not at once: one that is given up in the same breath never reaches the server.
          queueMicrotask(() => {
            if (!isStopped) stop = run(operation, sink)
          })
          return () => {
            isStopped = true
            stop()
          }
        })
      }
    }
}

type UrqlResult = Parameters<typeof makeResult>[1]

function isSubscription({ kind }: Operation): boolean {
  return kind === 'subscription'
}
