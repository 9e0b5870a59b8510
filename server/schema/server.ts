import { defaultModel, server, type Server as Row, type ServerLimits as LimitsRow } from '../resolvers/server.ts'
import { builder } from './builder.ts'
import { Model } from './model.ts'

const ServerLimits = builder.objectRef<LimitsRow>('ServerLimits').implement({
  description: 'What this server takes at most. What goes beyond is refused, never cut.',
  fields: (t) => ({
    messageCharacters: t.exposeInt('messageCharacters', { description: 'Characters in a message.' }),
    titleCharacters: t.exposeInt('titleCharacters', { description: "Characters in a session's title." }),
    metadataBytes: t.exposeInt('metadataBytes', { description: "Bytes of a session's or message's metadata as JSON." }),
    messagesPerMinute: t.exposeInt('messagesPerMinute', { description: 'Messages that one user may send a minute.' }),
    generationsAtOnce: t.exposeInt('generationsAtOnce', {
      description: 'Generations of one user that may run at once.',
    }),
    fileBytes: t.exposeInt('fileBytes', {
      nullable: true,
      description: 'Bytes in a file; null where none can be sent.',
    }),
  }),
})

const Server = builder.objectRef<Row>('Server').implement({
  description: 'What a client needs to know of this server before anyone signs in.',
  fields: (t) => ({
    version: t.exposeString('version', { description: "The server's version." }),
    auth: t.exposeString('auth', {
      description: '`guest`: anyone may make an account by `signInAsGuest`; `jwt`: only tokens from outside.',
    }),
    defaultModel: t.field({
      type: Model,
      nullable: true,
      description: 'Who answers in a session that asks for no other; null while no provider of models answers.',
      resolve: (_source, _args, ctx) => defaultModel(ctx),
    }),
    features: t.exposeStringList('features', {
      description: 'Names of what is on, e.g. `apiKeys`, `invitations`. More may come; a name that is missing is off.',
    }),
    limits: t.expose('limits', { type: ServerLimits, description: 'What it takes at most.' }),
  }),
})

builder.queryField('server', (t) =>
  t.field({
    type: Server,
    description: 'What this server is and takes, for anyone, also for the anonymous.',
    resolve: (_source, _args, ctx) => server(ctx),
  }),
)
