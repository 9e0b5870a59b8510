import { health, type Health as Row } from '../resolvers/health.ts'
import { builder } from './builder.ts'
import { describedEnum } from './describedEnum.ts'

const HealthStatus = describedEnum('HealthStatus', 'How the server does.', {
  HEALTHY: 'The database and at least one provider answer.',
  DEGRADED: 'The database answers, but no provider of models does, or Redis is away and other nodes are heard of late.',
  UNHEALTHY: 'The database does not answer.',
})

const Health = builder.objectRef<Row>('Health').implement({
  description: 'How the node that answers does.',
  fields: (t) => ({
    service: t.exposeString('service', { description: 'Name of the service: `parley`.' }),
    status: t.expose('status', { type: HealthStatus, description: 'How it does.' }),
    timestamp: t.expose('timestamp', { type: 'DateTime', description: 'When it was looked at.' }),
    activeConnections: t.exposeInt('activeConnections', {
      description: 'Open WebSockets and event streams on this node.',
    }),
    runningGenerations: t.exposeInt('runningGenerations', { description: 'Generations that run on this node.' }),
    version: t.exposeString('version', { description: 'Version of the server.' }),
  }),
})

builder.queryField('health', (t) =>
  t.field({
    type: Health,
    description: 'How the node that answers does, for anyone, also for the anonymous.',
    resolve: (_source, _args, ctx) => health(ctx),
  }),
)
