import { execute, type ExecutionArgs, type ExecutionResult } from 'graphql'
import { compileQuery, isCompiledQuery } from 'graphql-jit'
import type { Context } from '../context.ts'
import type { SessionEvent } from '../log/event.ts'
import { freshContext } from '../resolvers/createContext.ts'
import { toGraphQLError } from '../schema/errors.ts'
import type { Render } from './group.ts'

type Executor = (event: SessionEvent, context: Context) => ExecutionResult | Promise<ExecutionResult>

/**
 * The payload of `args`' subscription for an event, as JSON. Compiled where graphql-jit can, else by graphql-js; both give
 * the same.
 */
export function createRender(args: ExecutionArgs, context: Context): Render {
  const run = compile(args) ?? interpret(args)
  // a delta reads nothing, so its context is never used up
  const forDeltas = freshContext(context)
  return (event) => {
    try {
      const result = run(event, event.kind === 'MessageDelta' ? forDeltas : freshContext(context))
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

function compile({ schema, document, operationName, variableValues }: ExecutionArgs): Executor | undefined {
  const compiled = compileQuery(schema, document, operationName ?? undefined)
  if (!isCompiledQuery(compiled)) return undefined
  return (event, context) =>
    compiled.query(event, context, variableValues ?? {}) as ExecutionResult | Promise<ExecutionResult>
}

function stringify({ data, errors }: { data?: unknown; errors?: readonly unknown[] }, { logger }: Context): string {
  if (!errors?.length) return JSON.stringify({ data })
  const masked = errors.map((error) =>
    toGraphQLError(error, (cause) => logger.error('an event could not be shown', { error: cause })),
  )
  return JSON.stringify({ data, errors: masked })
}
