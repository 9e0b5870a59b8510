import { GraphQLError, type ExecutionArgs } from 'graphql'
import type { SubscribePayload } from 'graphql-ws'
import type { GraphqlServer, Yoga } from '../http/yoga.ts'
import type { Asker } from '../resolvers/createContext.ts'

export interface Operation extends ExecutionArgs {
  /** Yoga's, with what its plugins add. */
  executeWith: ReturnType<Yoga['getEnveloped']>['execute']
}

/** Yoga's plugins want a request; over WebSocket there is none for an operation. */
const requestStandIn = new Request('http://websocket.invalid/graphql', { method: 'POST' })

/** Parses and validates an operation as Yoga does one over HTTP, within the same limits. Gives the errors where it fails. */
export async function prepareOperation(
  { yoga, textOf }: Pick<GraphqlServer, 'yoga' | 'textOf'>,
  payload: SubscribePayload,
  asker: Asker,
): Promise<Operation | readonly GraphQLError[]> {
  const { schema, parse, validate, execute, contextFactory } = yoga.getEnveloped({
    address: asker.address,
    asker,
    request: requestStandIn,
    params: payload,
  } as never)
  try {
    const document = parse(textOf(payload))
    const errors = validate(schema, document) as readonly GraphQLError[]
    if (errors.length > 0) return errors.map(withoutHttp)
    return {
      schema,
      document,
      operationName: payload.operationName,
      variableValues: payload.variables,
      contextValue: await contextFactory(),
      executeWith: execute,
    }
  } catch (error) {
    if (error instanceof GraphQLError) return [withoutHttp(error)]
    throw error
  }
}

/** The header that GraphiQL sends with each operation, and not when it connects. */
export function authorizationIn({ extensions }: SubscribePayload): unknown {
  const headers = extensions?.headers
  return typeof headers === 'object' && headers !== null && 'authorization' in headers
    ? headers.authorization
    : undefined
}

/** Yoga notes the status of an HTTP answer in an error's extensions, and takes it out only there. */
function withoutHttp({ message, nodes, source, positions, path, extensions }: GraphQLError): GraphQLError {
  return new GraphQLError(message, { nodes, source, positions, path, extensions: { ...extensions, http: undefined } })
}
