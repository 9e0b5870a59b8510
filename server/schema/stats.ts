import { stats, type Stats as Row } from '../resolvers/stats.ts'
import { builder } from './builder.ts'
import { describedEnum } from './describedEnum.ts'
import { TokenUsage } from './usage.ts'

const StatsScope = describedEnum('StatsScope', 'What statistics are over.', {
  VIEWER: 'What the viewer may read.',
  ALL: 'Everything; for admins.',
})

const Stats = builder.objectRef<Row>('Stats').implement({
  description: 'What this server was used for.',
  fields: (t) => ({
    totalSessions: t.exposeInt('totalSessions', { description: 'Sessions there are.' }),
    totalMessages: t.exposeInt('totalMessages', { description: "Messages in them, people's and the models'." }),
    activeSessions: t.exposeInt('activeSessions', { description: 'Sessions with an event in the last 15 minutes.' }),
    messagesToday: t.exposeInt('messagesToday', { description: 'Messages since midnight UTC.' }),
    averageResponseTimeMs: t.exposeFloat('averageResponseTimeMs', {
      nullable: true,
      description: 'Milliseconds from the start of a generation to its whole answer, on average; null without one.',
    }),
    p95ResponseTimeMs: t.exposeFloat('p95ResponseTimeMs', {
      nullable: true,
      description: 'Milliseconds that 95 of 100 whole answers did not take longer than; null without one.',
    }),
    averageTimeToFirstTokenMs: t.exposeFloat('averageTimeToFirstTokenMs', {
      nullable: true,
      description: 'Milliseconds from the start of a generation to its first token, on average; null without one.',
    }),
    errorRate: t.exposeFloat('errorRate', {
      description: 'Share of ended generations that failed or were interrupted, from 0 to 1; 0 without one.',
    }),
    mostUsedProvider: t.exposeString('mostUsedProvider', {
      nullable: true,
      description: 'Name of the provider with the most generations; null without one.',
    }),
    mostUsedModel: t.exposeString('mostUsedModel', {
      nullable: true,
      description: 'Id of the model with the most generations; null without one.',
    }),
    usage: t.expose('usage', { type: TokenUsage, description: 'Tokens of all generations, also of deleted sessions.' }),
  }),
})

builder.queryField('stats', (t) =>
  t.field({
    type: Stats,
    description:
      'Counts sessions, messages, tokens and times: over what the viewer may read; over everything for an admin who asks with `scope: ALL`.',
    args: { scope: t.arg({ type: StatsScope, defaultValue: 'VIEWER', description: 'What to count.' }) },
    resolve: (_, args, ctx) => stats(ctx, args),
  }),
)
