import type { AddressInfo } from 'node:net'
import { ApolloServer } from '@apollo/server'
import fastifyApollo, { fastifyApolloDrainPlugin } from '@as-integrations/fastify'
import { fastify } from 'fastify'
import { PubSub } from 'graphql-subscriptions'
import { useServer as serve } from 'graphql-ws/use/ws'
import { createSchema } from 'graphql-yoga'
import { WebSocketServer } from 'ws'
import { answer } from '../support/answer.ts'
import { tick, type Ticks } from '../support/ticker.ts'
import { delta, typeDefs } from './deltaApi.ts'

/** Apollo Server with graphql-ws and graphql-subscriptions, as its documentation has them (Subscriptions). */
const pubSub = new PubSub()
const topicOf = (sessionId: string): string => `SESSION_${sessionId}`
const schema = createSchema({
  typeDefs,
  resolvers: {
    Subscription: {
      sessionEvents: {
        subscribe: (_: unknown, { sessionId }: { sessionId: string }) => ({
          [Symbol.asyncIterator]: () => pubSub.asyncIterableIterator(topicOf(sessionId)),
        }),
      },
    },
  },
})
const app = fastify()
const sockets = new WebSocketServer({ server: app.server, path: '/graphql' })
const cleanup = serve({ schema }, sockets)
const apollo = new ApolloServer({
  schema,
  plugins: [
    fastifyApolloDrainPlugin(app),
    { serverWillStart: async () => ({ drainServer: async () => cleanup.dispose() }) },
  ],
})
await apollo.start()
await app.register(fastifyApollo(apollo))
await app.listen({ port: 0, host: '127.0.0.1' })

answer(`ws://127.0.0.1:${(app.server.address() as AddressInfo).port}/graphql`, {
  start: (ticks: Ticks) =>
    tick(ticks, (topic, n, text) => void pubSub.publish(topicOf(topic), { sessionEvents: delta(topic, n, text) })),
})
