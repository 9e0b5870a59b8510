import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  GraphQLError,
  type ExecutionArgs,
  type ExecutionResult,
  NoSchemaIntrospectionCustomRule,
  validate,
} from 'graphql'
import { createYoga, type Plugin, type YogaServerInstance, type YogaServerOptions } from 'graphql-yoga'
import { isProduction } from '../config/config.ts'
import type { Context, Services } from '../context.ts'
import type { ErrorCode } from '../errors.ts'
import { createContext, type Asker } from '../resolvers/createContext.ts'
import { toGraphQLError } from '../schema/errors.ts'
import { schema } from '../schema/schema.ts'
import { observe } from './observe.ts'
import { limitOperations } from './operationLimits.ts'
import { onlyPersisted, PersistedOperations, type OperationParams } from './persistedOperations.ts'
import { createPlainPost, type AnswerPost } from './plainPost.ts'
import { contextOf } from './whoAsks.ts'

/** What the transports know of a request before it is parsed: the WebSocket server has the asker already. */
export interface RequestContext {
  address: string
  asker?: Asker
  /** Of Node's server, over HTTP. */
  req?: IncomingMessage
  res?: ServerResponse
}

export type Yoga = YogaServerInstance<RequestContext, Context>

export interface GraphqlServer {
  yoga: Yoga
  answerPost: AnswerPost
  /** The text that a request over WebSocket means, which may say it by an id. */
  textOf(params: OperationParams & { query: string }): string
}

/** Executes a subscription that is asked for over HTTP. */
export type Subscribe = (args: ExecutionArgs) => Promise<AsyncIterable<ExecutionResult> | ExecutionResult>

/** Parsing, validation, limits and execution, the same for HTTP, Server-Sent Events and WebSocket. */
export function createGraphqlServer(services: Services, subscribe: Subscribe): GraphqlServer {
  const { config, logger } = services
  const persisted = config.persistedOnly ? PersistedOperations.read() : null
  const options: YogaServerOptions<RequestContext, Context> = {
    schema,
    context: ({ req, res, address, asker }) =>
      asker ? createContext(services, asker) : contextOf(services, req!, res!, address),
    graphiql: false,
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
      observe(services),
      limitOperations(config),
      persisted ? onlyPersisted(persisted) : declinePersisted,
      {
        onSubscribe: ({ setSubscribeFn }) => setSubscribeFn(subscribe),
      } satisfies Plugin,
      endUnshown,
      sameStatus,
      ...(isProduction(config) ? [hideSchemaFromAnonymous, hideSuggestions] : []),
    ],
  }
  const yoga = createYoga(options)
  return {
    yoga,
    answerPost: createPlainPost(options, yoga, logger),
    textOf: (params) => persisted?.textOf(params) ?? params.query,
  }
}

/** Who does not accept a stream of events gets 406 from Yoga, which would leave the subscription open for ever. */
const endUnshown: Plugin = {
  onResultProcess({ result, resultProcessor }) {
    if (!resultProcessor && Symbol.asyncIterator in result) void (result as AsyncGenerator).return(undefined)
  },
}

/**
 * A client that sends only the hash of its operation sends the text once it hears this.
 * @see https://www.apollographql.com/docs/apollo-server/performance/apq
 */
const declinePersisted: Plugin = {
  onParams({ params }) {
    if (params.query || !params.extensions?.persistedQuery) return
    const extensions = { code: 'PERSISTED_QUERY_NOT_SUPPORTED', http: { status: 200 } }
    throw new GraphQLError('PersistedQueryNotSupported', { extensions })
  },
}

const hideSchemaFromAnonymous: Plugin<Context> = {
  onExecute({ args, setResultAndStopExecution }) {
    if (args.contextValue.viewer) return
    const errors = validate(args.schema, args.document, [NoSchemaIntrospectionCustomRule])
    if (errors.length === 0) return
    const extensions = { code: 'FORBIDDEN' } satisfies { code: ErrorCode }
    setResultAndStopExecution({
      errors: errors.map(({ message, nodes }) => new GraphQLError(message, { nodes, extensions })),
    })
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
  onExecute: () => ({
    onExecuteDone: ({ result, setResult }) => setResult(withoutSuggestions(result)),
  }),
  onSubscribe: () => ({ onSubscribeResult: ({ result, setResult }) => setResult(withoutSuggestions(result)) }),
}

const sameStatus: Plugin = {
  onExecute: () => ({ onExecuteDone: ({ result, setResult }) => setResult(asRequestError(result)) }),
}

/**
 * Errors of variables: 200 where `application/json` is accepted, 400 for `application/graphql-response+json`, whichever
 * executor found them.
 * @see https://graphql.github.io/graphql-over-http/draft/#sec-Status-Codes
 */
function asRequestError<Result extends object>(result: Result): Result {
  if (Symbol.asyncIterator in result || 'data' in result || !('errors' in result)) return result
  const errors = result.errors as readonly GraphQLError[] | undefined
  const http = { status: 400, spec: true }
  return {
    ...result,
    errors: errors?.map((error) => {
      const { message, nodes, source, positions, path, originalError, extensions } = error
      return new GraphQLError(message, {
        ...{ nodes, source, positions, path, originalError },
        extensions: { ...extensions, http },
      })
    }),
  }
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
