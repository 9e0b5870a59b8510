import { createSourceEventStream, execute, type ExecutionArgs, type ExecutionResult } from 'graphql'
import type { Context } from '../context.ts'
import { abortable } from '../log/abortable.ts'
import { UnauthenticatedError } from '../errors.ts'
import { freshContext } from '../resolvers/createContext.ts'
import { databaseAwayIn, toGraphQLError } from './errors.ts'

/**
 * What graphql-js' own `subscribe` does, but with a context of its own for every event: loaders and entities that live as
 * long as a subscription show what was true when it began.
 */
export async function subscribe(
  args: ExecutionArgs,
): Promise<AsyncGenerator<ExecutionResult, void, undefined> | ExecutionResult> {
  const events = await createSourceEventStream(args)
  if (!(Symbol.asyncIterator in events)) return masked(events, args.contextValue as Context)
  const source = events as AsyncGenerator<unknown>
  return abortable((signal) => {
    // ends a `next` of the source that waits, and with it the generator that awaits it
    signal.addEventListener('abort', () => void source.return(undefined), { once: true })
    return mapEvents(source, args)
  })
}

async function* mapEvents(
  events: AsyncGenerator<unknown>,
  args: ExecutionArgs,
): AsyncGenerator<ExecutionResult, void, undefined> {
  const context = args.contextValue as Context
  try {
    for await (const event of events) {
      if (context.expiresAt && context.expiresAt.getTime() <= Date.now())
        throw new UnauthenticatedError('The token has expired. Sign in again and subscribe from the last seq.')
      const result = await execute({ ...args, rootValue: event, contextValue: freshContext(context) })
      // whoever went on behind an event that can be shown later would have missed it
      const away = databaseAwayIn(result.errors)
      if (away) throw away
      yield masked(result, context)
    }
  } catch (error) {
    // said in a last result, since whoever reads this iterator would show a bare throw unmasked or not at all
    yield masked({ errors: [error] }, context)
  } finally {
    // `for await` does not return an iterator whose `next` failed, and it may hold a subscription to the bus
    await events.return(undefined)
  }
}

function masked(
  { errors, ...result }: { data?: unknown; errors?: readonly unknown[] },
  { logger }: Context,
): ExecutionResult {
  const log = (cause: unknown): void => logger.error('a subscription failed', { error: cause })
  return { ...result, errors: errors?.map((error) => toGraphQLError(error, log)) } as ExecutionResult
}
