import type { GraphQLError } from 'graphql'
import { makeServer, type Context as GraphqlWsContext, type Server, type SubscribePayload } from 'graphql-ws'
import type { Services } from '../context.ts'
import { ParleyError, ProviderUnavailableError, RateLimitedError } from '../errors.ts'
import type { Trail } from '../guards/auditTrail.ts'
import { operationRefused, subscriptionDone } from '../http/observe.ts'
import { noteSignIn } from '../http/trail.ts'
import type { GraphqlServer } from '../http/yoga.ts'
import { toGraphQLError } from '../schema/errors.ts'
import { subscribe } from '../schema/subscribe.ts'
import { Admission } from './admission.ts'
import type { ClientSocket } from './clientSocket.ts'
import { authorizationIn, prepareOperation, type Operation } from './operation.ts'
import type { Delivery, SharedFollows } from './sharedFollow.ts'

export interface ProtocolParts {
  services: Services
  graphqlServer: Pick<GraphqlServer, 'yoga' | 'textOf'>
  shared: SharedFollows
}

type Connection = GraphqlWsContext<Record<string, unknown>, ClientSocket>

/** An operation over a socket, and how its frames get there. */
interface SocketOperation extends Operation {
  delivery: Delivery
}

/**
 * graphql-transport-ws: graphql-ws keeps the protocol, Yoga's envelope parses, validates and executes, and subscriptions
 * that can be shared write their own frames.
 */
export function createProtocol({ services, graphqlServer, shared }: ProtocolParts): Server<ClientSocket> {
  const { audit, config, limits } = services
  const admission = new Admission(services)

  /** @returns whether the client may go on */
  async function connect(connection: Connection): Promise<boolean> {
    const { extra: client, connectionParams } = connection
    client.stopInitTimer()
    // it holds a token, and would be kept as long as the socket
    Object.assign(connection, { connectionParams: undefined })
    try {
      const authorization = connectionParams?.authorization ?? connectionParams?.Authorization
      await limits.token(client.asker.address, authorization ?? client.cookieToken, () =>
        admission.signIn(client, authorization),
      )
      const { viewer } = client.asker
      // whoever has too many sockets is known, and let go again
      if (viewer) noteSignIn(audit, client.trail, viewer.id, client.isOpen ? null : 'RATE_LIMITED')
      return true
    } catch (error) {
      if (!(error instanceof ParleyError)) throw error
      noteSignIn(audit, client.trail, null, error.code)
      // a client drops a token for the one, and comes again with it for the other
      const isLater = error instanceof ProviderUnavailableError || error instanceof RateLimitedError
      client.close(isLater ? 1013 : 4403, error.message.slice(0, 100))
      return false
    }
  }

  async function prepare(
    { extra: client, subscriptions }: Connection,
    id: string,
    payload: SubscribePayload,
  ): Promise<SocketOperation | readonly GraphQLError[]> {
    const limit = config.maxSubscriptionsPerSocket
    const trail = client.nextTrail()
    const refused = (errors: readonly GraphQLError[]): readonly GraphQLError[] => {
      operationRefused(services, trail, errors)
      return errors
    }
    try {
      if (Object.keys(subscriptions).length > limit)
        throw new RateLimitedError(`At most ${limit} operations at once on one connection.`, 1000)
      const authorization = authorizationIn(payload)
      if (authorization !== undefined || !client.asker.viewer) await signInAgain(client, authorization, trail)
    } catch (error) {
      if (error instanceof ParleyError) return refused([toGraphQLError(error)])
      throw error
    }
    const operation = await prepareOperation(graphqlServer, payload, { ...client.asker, trail })
    if (!('document' in operation)) return refused(operation)
    // graphql-ws keeps it as long as the subscription, and reads no more of it
    Object.assign(payload, { query: '' })
    const opening = `{"id":${JSON.stringify(id)},"type":"next","payload":`
    return { ...operation, delivery: { outlet: client.outlet, opening, closing: '}' } }
  }

  async function signInAgain(client: ClientSocket, authorization: unknown, trail: Trail): Promise<void> {
    const before = client.asker.credential?.id
    await limits.token(client.asker.address, authorization, () => admission.signInAgain(client, authorization))
    const { viewer, credential } = client.asker
    if (viewer && credential?.id !== before) noteSignIn(audit, trail, viewer.id)
  }

  return makeServer<Record<string, unknown>, ClientSocket>({
    // a ClientSocket's own is forgotten once it is over
    connectionInitWaitTimeout: 0,
    onConnect: connect,
    onSubscribe: (connection, id, payload) => prepare(connection as Connection, id, payload),
    execute: (args) => (args as SocketOperation).executeWith(args),
    async subscribe(args) {
      const startedAt = performance.now()
      const joined = await shared.subscribe(args, (args as SocketOperation).delivery)
      const result = joined ?? (await subscribe(args))
      subscriptionDone(args, result, startedAt)
      if (!joined) return result
      // graphql-ws keeps the arguments for as long as the subscription lasts, and nothing reads these any more
      Object.assign(args, { contextValue: undefined, executeWith: undefined, delivery: undefined })
      return joined
    },
  })
}
