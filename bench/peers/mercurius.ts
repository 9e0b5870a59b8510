import type { AddressInfo } from 'node:net'
import { fastify } from 'fastify'
import { mercurius } from 'mercurius'
import { answer } from '../support/answer.ts'
import { tick, type Ticks } from '../support/ticker.ts'
import { delta, typeDefs } from './deltaApi.ts'

/** mercurius with its own pub/sub, as its documentation has it (Subscriptions). */
const topicOf = (sessionId: string): string => `SESSION_${sessionId}`
const app = fastify()
await app.register(mercurius, {
  schema: typeDefs,
  resolvers: {
    Subscription: {
      sessionEvents: {
        subscribe: (_: unknown, { sessionId }: { sessionId: string }, { pubsub }) =>
          pubsub.subscribe(topicOf(sessionId)),
      },
    },
  },
  subscription: true,
})
await app.listen({ port: 0, host: '127.0.0.1' })

answer(`ws://127.0.0.1:${(app.server.address() as AddressInfo).port}/graphql`, {
  start: (ticks: Ticks) =>
    tick(ticks, (topic, n, text) =>
      app.graphql.pubsub.publish({ topic: topicOf(topic), payload: { sessionEvents: delta(topic, n, text) } }),
    ),
})
