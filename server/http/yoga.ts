import { maxDepthPlugin } from '@escape.tech/graphql-armor-max-depth'
import { maxTokensPlugin } from '@escape.tech/graphql-armor-max-tokens'
import { renderGraphiQL } from '@graphql-yoga/render-graphiql'
import {
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
export function createGraphqlServer(services: Services, subscribe: Subscribe): Yoga {
  const { config, logger } = services
  return createYoga<RequestContext, Context>({
    schema,
    context: async ({ request, address, asker }) =>
      createContext(services, asker ?? (await whoAsks(services, request, address))),
    graphiql:
      (config.graphiql ?? (isProduction(config) ? 'off' : 'on')) === 'on'
        ? { title: 'Parley', defaultTabs: exampleTabs, subscriptionsProtocol: 'WS', shouldPersistHeaders: true }
        : false,
    renderGraphiQL,
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
      ...(isProduction(config) ? [hideSchemaFromAnonymous] : []),
    ],
  })
}

async function whoAsks({ identity }: Services, request: Request, address: string): Promise<Asker> {
  try {
    const verified = await identity.fromHeader(request.headers.get('authorization'))
    return { viewer: verified?.user ?? null, expiresAt: verified?.expiresAt ?? null, address }
  } catch (error) {
    if (!(error instanceof ParleyError)) throw error
    const { message, extensions } = toGraphQLError(error)
    throw new GraphQLError(message, { extensions: { ...extensions, http: { status: 401 } } })
  }
}

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
