import { execute, type ExecutionArgs } from 'graphql'
import type { Context } from '../context.ts'
import type { SessionEvent } from '../log/event.ts'
import { freshContext } from '../resolvers/createContext.ts'
import { databaseAwayIn, toGraphQLError } from '../schema/errors.ts'
import type { Renderer } from './group.ts'

/** The payload of `args`' subscription for an event, as JSON. */
export function createRenderer(args: ExecutionArgs, context: Context): Renderer {
  const { traffic } = context.metrics
  // a delta reads nothing, so its context is never used up
  const forDeltas = freshContext(context)
  const render = (event: SessionEvent, eventContext: Context): string | Promise<string> => {
    try {
      const result = execute({ ...args, rootValue: event, contextValue: eventContext }) as Result | Promise<Result>
      if (!(result instanceof Promise)) return stringify(result, context)
      const shown = result.then((late) => stringify(late, context), failed)
      // of those that are rendered together, the first that fails is the last that is awaited
      shown.catch(() => undefined)
      return shown
    } catch (error) {
      return failed(error)
    }
  }
  const failed = (error: unknown): string => stringify({ errors: [error] }, context)
  return {
    one(event) {
      traffic.events++
      return render(event, event.kind === 'MessageDelta' ? forDeltas : freshContext(context))
    },
    several(events) {
      traffic.events += events.length
      const joined = freshContext(context)
      return events.map((event) => render(event, joined))
    },
  }
}

interface Result {
  data?: unknown
  errors?: readonly unknown[]
}

function stringify({ data, errors }: Result, { logger }: Context): string {
  if (!errors?.length) return JSON.stringify({ data })
  // ends the subscription: whoever went on behind an event that can be shown later would have missed it
  const away = databaseAwayIn(errors)
  if (away) throw away
  const masked = errors.map((error) =>
    toGraphQLError(error, (cause) => logger.error('an event could not be shown', { error: cause })),
  )
  return JSON.stringify({ data, errors: masked })
}
