import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { useServer as serve } from 'graphql-ws/use/ws'
import { createPubSub, createSchema, createYoga } from 'graphql-yoga'
import type { ExecutionArgs } from 'graphql'
import { WebSocketServer } from 'ws'
import { answer } from '../support/answer.ts'
import { tick, type Ticks } from '../support/ticker.ts'
import { delta, typeDefs, type Delta } from './deltaApi.ts'

/** GraphQL Yoga with graphql-ws and its own pub/sub, as its documentation has them (Features, Subscriptions). */
const pubSub = createPubSub<{ sessionEvents: [sessionId: string, payload: Delta] }>()
const schema = createSchema({
  typeDefs,
  resolvers: {
    Subscription: {
      sessionEvents: {
        subscribe: (_: unknown, { sessionId }: { sessionId: string }) => pubSub.subscribe('sessionEvents', sessionId),
        resolve: (payload: Delta) => payload,
      },
    },
  },
})
const yoga = createYoga({ schema, logging: false })
const server = createServer((request, response) => void yoga(request, response))
const sockets = new WebSocketServer({ server, path: yoga.graphqlEndpoint })

type Enveloped = ExecutionArgs & { rootValue: Pick<ReturnType<typeof yoga.getEnveloped>, 'execute' | 'subscribe'> }

serve(
  {
    execute: (args) => (args as Enveloped).rootValue.execute(args),
    subscribe: (args) => (args as Enveloped).rootValue.subscribe(args),
    async onSubscribe(ctx, _id, params) {
      const { schema, execute, subscribe, contextFactory, parse, validate } = yoga.getEnveloped({
        ...ctx,
        req: ctx.extra.request,
        socket: ctx.extra.socket,
        params,
      })
      const args = {
        schema,
        operationName: params.operationName,
        document: parse(params.query),
        variableValues: params.variables,
        contextValue: await contextFactory(),
        rootValue: { execute, subscribe },
      }
      const errors = validate(args.schema, args.document)
      return errors.length > 0 ? errors : args
    },
  },
  sockets,
)

server.listen(0, '127.0.0.1', () =>
  answer(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`, {
    start: (ticks: Ticks) =>
      tick(ticks, (topic, n, text) => pubSub.publish('sessionEvents', topic, delta(topic, n, text))),
  }),
)
