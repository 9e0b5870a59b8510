import { execute, type ExecutionArgs, type ExecutionResult } from 'graphql'
import type { Context } from '../context.ts'
import { freshContext } from '../resolvers/createContext.ts'
import type { Compiler, Executor } from '../schema/compile.ts'
import { toGraphQLError } from '../schema/errors.ts'
import type { Render } from './group.ts'

/**
 * The payload of `args`' subscription for an event, as JSON. Compiled where graphql-jit can, else by graphql-js; both give
 * the same.
 */
export function createRender(args: ExecutionArgs, context: Context, compiler: Compiler): Render {
  const run = compiler.compiled(args) ?? interpret(args)
  const variables = args.variableValues ?? {}
  // a delta reads nothing, so its context is never used up
  const forDeltas = freshContext(context)
  return (event) => {
    try {
      const result = run(event, event.kind === 'MessageDelta' ? forDeltas : freshContext(context), variables)
      return result instanceof Promise
        ? result.then((late) => stringify(late, context), failed)
        : stringify(result, context)
    } catch (error) {
      return failed(error)
    }
  }
  function failed(error: unknown): string {
    return stringify({ errors: [error] }, context)
  }
}

function interpret(args: ExecutionArgs): Executor {
  return (event, context) =>
    execute({ ...args, rootValue: event, contextValue: context }) as ExecutionResult | Promise<ExecutionResult>
}

function stringify({ data, errors }: { data?: unknown; errors?: readonly unknown[] }, { logger }: Context): string {
  if (!errors?.length) return JSON.stringify({ data })
  const masked = errors.map((error) =>
    toGraphQLError(error, (cause) => logger.error('an event could not be shown', { error: cause })),
  )
  return JSON.stringify({ data, errors: masked })
}
