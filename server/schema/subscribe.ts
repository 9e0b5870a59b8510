import { createSourceEventStream, execute, type ExecutionArgs, type ExecutionResult } from 'graphql'
import type { Context } from '../context.ts'
import { UnauthenticatedError } from '../errors.ts'
import { freshContext } from '../resolvers/createContext.ts'
import { toGraphQLError } from './errors.ts'

/**
 * What graphql-js' own `subscribe` does, but with a context of its own for every event: loaders and entities that live as
 * long as a subscription show what was true when it began.
 */
export async function subscribe(
  args: ExecutionArgs,
): Promise<AsyncGenerator<ExecutionResult, void, void> | ExecutionResult> {
  const events = await createSourceEventStream(args)
  if (!(Symbol.asyncIterator in events)) return events
  return mapEvents(events as AsyncGenerator<unknown>, args)
}

async function* mapEvents(
  events: AsyncGenerator<unknown>,
  args: ExecutionArgs,
): AsyncGenerator<ExecutionResult, void, void> {
  const context = args.contextValue as Context
  try {
    for await (const event of events) {
      if (context.expiresAt && context.expiresAt.getTime() <= Date.now())
        throw new UnauthenticatedError('The token has expired. Sign in again and subscribe from the last seq.')
      yield await execute({ ...args, rootValue: event, contextValue: freshContext(context) })
    }
  } catch (error) {
    // said in a last result, since whoever reads this iterator would show a bare throw unmasked or not at all
    yield {
      errors: [toGraphQLError(error, (cause) => context.logger.error('a subscription failed', { error: cause }))],
    }
  }
}
