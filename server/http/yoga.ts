import { maxDepthPlugin } from '@escape.tech/graphql-armor-max-depth'
import { maxTokensPlugin } from '@escape.tech/graphql-armor-max-tokens'
import {
  getOperationAST,
  GraphQLError,
  type ExecutionArgs,
  type ExecutionResult,
  NoSchemaIntrospectionCustomRule,
  validate,
} from 'graphql'
import { createYoga, type Plugin, type YogaServerInstance } from 'graphql-yoga'
import type { Config } from '../config.ts'
import type { Context, Services } from '../context.ts'
import { ParleyError } from '../errors.ts'
import { createContext, type Asker } from '../resolvers/createContext.ts'
import type { Compiler } from '../schema/compile.ts'
import { toGraphQLError } from '../schema/errors.ts'
import { schema } from '../schema/schema.ts'
import { exampleTabs } from './exampleOperations.ts'

/** What the transports know of a request before it is parsed: the WebSocket server has the asker already. */
export interface RequestContext {
  address: string
  asker?: Asker
}

export type Yoga = YogaServerInstance<RequestContext, Context>

export const isProduction = (config: Config): boolean => config.nodeEnv === 'production'

/** Executes a subscription that is asked for over HTTP. */
export type Subscribe = (args: ExecutionArgs) => Promise<AsyncIterable<ExecutionResult> | ExecutionResult>

/** Parsing, validation, limits and execution, the same for HTTP, Server-Sent Events and WebSocket. */
export function createGraphqlServer(services: Services, compiler: Compiler, subscribe: Subscribe): Yoga {
  const { config, logger } = services
  return createYoga<RequestContext, Context>({
    schema,
    context: async ({ request, address, asker }) =>
      createContext(services, asker ?? (await whoAsks(services, request, address))),
    graphiql:
      (config.graphiql ?? (isProduction(config) ? 'off' : 'on')) === 'on'
        ? { title: 'Parley', defaultTabs: exampleTabs, subscriptionsProtocol: 'WS', shouldPersistHeaders: true }
        : false,
    // loaded when somebody opens it: it is a page of nine megabytes
    renderGraphiQL: async (options) => (await import('@graphql-yoga/render-graphiql')).renderGraphiQL(options),
    maskedErrors: {
      maskError: (error) => toGraphQLError(error, (cause) => logger.error('an operation failed', { error: cause })),
    },
    maxRequestBodySize: config.maxBodyBytes,
    batching: false,
    multipart: false,
    cors: false,
    landingPage: false,
    logging: false,
    plugins: [
      limitCharacters(config.maxQueryCharacters),
      maxTokensPlugin({ n: config.maxQueryTokens }) as Plugin,
      maxDepthPlugin({ n: config.maxQueryDepth }) as Plugin,
      {
        onSubscribe: ({ setSubscribeFn }) => setSubscribeFn(subscribe),
      } satisfies Plugin,
      endUnshown,
      compileQueries(compiler),
      ...(isProduction(config) ? [hideSchemaFromAnonymous, hideSuggestions] : []),
    ],
  })
}

async function whoAsks({ identity, logger }: Services, request: Request, address: string): Promise<Asker> {
  try {
    const verified = await identity.fromHeader(request.headers.get('authorization'))
    return { viewer: verified?.user ?? null, expiresAt: verified?.expiresAt ?? null, address }
  } catch (error) {
    const { message, extensions } = toGraphQLError(error, (cause) =>
      logger.error('who asks could not be found out', { error: cause }),
    )
    const status = error instanceof ParleyError ? 401 : 500
    throw new GraphQLError(message, { extensions: { ...extensions, http: { status } } })
  }
}

/** Who does not accept a stream of events gets 406 from Yoga, which would leave the subscription open for ever. */
const endUnshown: Plugin = {
  onResultProcess({ result, resultProcessor }) {
    if (!resultProcessor && Symbol.asyncIterator in result) void (result as AsyncGenerator).return(undefined)
  },
}

const usesWorthCompiling = 3

/** Runs a query that is asked again and again as code made for it; mutations spend their time elsewhere. */
const compileQueries = (compiler: Compiler): Plugin => ({
  onExecute({ args, setExecuteFn }) {
    if (getOperationAST(args.document, args.operationName)?.operation !== 'query') return
    const compiled = compiler.compiled(args, usesWorthCompiling)
    if (compiled) setExecuteFn(() => compiled(args.rootValue, args.contextValue, args.variableValues ?? {}))
  },
})

const limitCharacters = (limit: number): Plugin => ({
  onParse({ params: { source } }) {
    const length = typeof source === 'string' ? source.length : source.body.length
    if (length > limit)
      throw new GraphQLError(`The operation has ${length} characters; at most ${limit} are taken.`, {
        extensions: { code: 'INVALID_INPUT', http: { status: 400 } },
      })
  },
})

const hideSchemaFromAnonymous: Plugin<Context> = {
  onExecute({ args, setResultAndStopExecution }) {
    if (args.contextValue.viewer) return
    const errors = validate(args.schema, args.document, [NoSchemaIntrospectionCustomRule])
    if (errors.length > 0) setResultAndStopExecution({ errors })
  },
}

/** A wrong name is not answered by the right ones. For all, since who asks is found out only after validation. */
const hideSuggestions: Plugin = {
  onValidate({ validateFn, setValidationFn }) {
    setValidationFn((of, document, rules, options, typeInfo) =>
      validateFn(of, document, rules, { ...options, hideSuggestions: true }, typeInfo),
    )
  },
  // variables are checked only now
  onExecute: () => ({ onExecuteDone: ({ result, setResult }) => setResult(withoutSuggestions(result)) }),
  onSubscribe: () => ({ onSubscribeResult: ({ result, setResult }) => setResult(withoutSuggestions(result)) }),
}

function withoutSuggestions<Result extends object>(result: Result): Result {
  if (Symbol.asyncIterator in result || !('errors' in result)) return result
  const errors = result.errors as readonly GraphQLError[] | undefined
  return {
    ...result,
    errors: errors?.map((error) => {
      const message = error.message.replace(/ Did you mean .*\?$/s, '')
      return message === error.message ? error : new GraphQLError(message, error)
    }),
  }
}
