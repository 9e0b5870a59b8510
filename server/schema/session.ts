import { ConflictError, ForbiddenError, InvalidInputError, NotFoundError, RateLimitedError } from '../errors.ts'
import { createSession } from '../resolvers/createSession.ts'
import { deleteEmptySessions, deleteSessions } from '../resolvers/deleteSessions.ts'
import { messagesOf } from '../resolvers/message.ts'
import type { SessionRow } from '../storage/rows.ts'
import { session, viewerRole } from '../resolvers/session.ts'
import { sessionEdge, sessions } from '../resolvers/sessionList.ts'
import { updateSession } from '../resolvers/updateSession.ts'
import { asksForLastSeq, fromRow } from './atLastSeq.ts'
import { builder } from './builder.ts'
import { connectionType, edgeType, pageArgs } from './connection.ts'
import { resultUnion } from './errors.ts'
import { MessageConnection, messagePartsAsked } from './message.ts'
import { Model } from './model.ts'
import { Node } from './node.ts'
import { Participant, ParticipantRole } from './participant.ts'
import { Session } from './refs.ts'
import { GenerationSettings, GenerationSettingsInput } from './settings.ts'
import { TokenUsage } from './usage.ts'
import { User } from './user.ts'
import { viewerDependent } from './viewerDependent.ts'

Session.implement({
  description: 'A conversation of people with a model, for its participants alone.',
  interfaces: [Node],
  fields: (t) => ({
    title: t.string({
      resolve: fromRow(({ title }) => title),
      description:
        "At most 500 characters. Until someone sets it: the first user message's first five words, then an ellipsis if there were more.",
    }),
    model: t.field({
      type: Model,
      description: 'Who answers, unless a message asks for another.',
      resolve: fromRow(({ model }, ctx) => ctx.providers.find(model)),
    }),
    settings: t.field({
      type: GenerationSettings,
      description: 'How the model is asked.',
      resolve: fromRow(({ settings }) => settings),
    }),
    owner: t.field({
      type: User,
      description: 'Whose it is: who made it, or to whom it was handed over.',
      resolve: ({ ownerId }, _args, ctx) => ctx.loaders.user.load(ownerId),
    }),
    viewerRole: t.field({
      type: ParticipantRole,
      description: 'What the viewer is here, and so what they may do.',
      extensions: viewerDependent,
      resolve: (of, _args, ctx, info) => viewerRole(ctx, of, { atLastSeq: asksForLastSeq(info) }),
    }),
    participants: t.field({
      type: [Participant],
      description: 'Everyone who takes part, the owner included; who came first comes first.',
      resolve: ({ id }, _args, ctx, info) =>
        asksForLastSeq(info) ? ctx.loaders.participantsAtLastSeq(id) : ctx.loaders.participants.load(id),
    }),
    isArchived: t.boolean({
      description: 'Whether its owner put it away.',
      resolve: fromRow(({ isArchived }) => isArchived),
    }),
    messageCount: t.int({
      description: 'Messages it has, whatever their role.',
      resolve: fromRow(({ messageCount }) => messageCount),
    }),
    lastSeq: t.int({
      description:
        "Position of the newest event in this session's log. Subscribe with `after: lastSeq` and nothing is missed or seen twice.",
      resolve: ({ id }, _args, ctx) => ctx.loaders.lastSeq(id),
    }),
    messages: t.field({
      type: MessageConnection,
      description: 'Oldest first. `last: 50` is the newest page.',
      args: {
        first: t.arg.int({ description: pageArgs.first }),
        after: t.arg.string({ description: pageArgs.after }),
        last: t.arg.int({ description: pageArgs.last }),
        before: t.arg.string({ description: pageArgs.before }),
      },
      resolve: (of, args, ctx, info) =>
        messagesOf(ctx, of, args, {
          parts: messagePartsAsked(info),
          current: asksForLastSeq(info) ? () => ctx.loaders.sessionAtLastSeq(of) : undefined,
        }),
    }),
    usage: t.field({
      type: TokenUsage,
      description: 'Tokens of all its generations.',
      resolve: ({ id }, _args, ctx, info) =>
        asksForLastSeq(info) ? ctx.loaders.usageAtLastSeq(id) : ctx.loaders.sessionUsage.load(id),
    }),
    metadata: t.field({
      type: 'JSONObject',
      description: 'What clients keep with it; means nothing to the server.',
      resolve: fromRow(({ metadata }) => metadata),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    updatedAt: t.field({
      type: 'DateTime',
      description: 'When it, or something in it, last changed.',
      resolve: fromRow(({ updatedAt }) => updatedAt),
    }),
  }),
})

builder.queryField('session', (t) =>
  t.field({
    type: Session,
    nullable: true,
    description: 'One session: null where there is none or the viewer may not read it.',
    args: { id: t.arg.id({ required: true, description: 'Id of the session.' }) },
    resolve: (_, args, ctx) => session(ctx, args),
  }),
)

const SessionFilter = builder.inputType('SessionFilter', {
  description: 'Which sessions to list: those that meet every given condition.',
  fields: (t) => ({
    isArchived: t.boolean({ description: 'Only the archived ones, or only the others; all where left out.' }),
    provider: t.string({ description: "Only those whose model is this provider's." }),
    title: t.string({ description: 'Substring of the title, any case.' }),
  }),
})

const SessionEdge = edgeType(Session, 'sessions')

builder.queryField('sessions', (t) =>
  t.field({
    type: connectionType(Session, 'sessions', SessionEdge),
    description: "The viewer's sessions, which they own or joined, last active first.",
    args: {
      first: t.arg.int({ description: pageArgs.first }),
      after: t.arg.string({ description: pageArgs.after }),
      last: t.arg.int({ description: pageArgs.last }),
      before: t.arg.string({ description: pageArgs.before }),
      filter: t.arg({ type: SessionFilter, description: 'Which ones; all where left out.' }),
    },
    resolve: (_, args, ctx) => sessions(ctx, args),
  }),
)

const CreateSessionInput = builder.inputType('CreateSessionInput', {
  description: 'What the new session shall be.',
  fields: (t) => ({
    id: t.id({ description: 'Made by the client (a UUID) so that a repeat is harmless; else by the server.' }),
    title: t.string({ description: '1 to 500 characters; taken from the first message where left out.' }),
    model: t.id({
      description: "Id of a model, as `models` lists it: `provider/model`. The server's default where left out.",
    }),
    settings: t.field({ type: GenerationSettingsInput, description: 'How the model is to be asked.' }),
    metadata: t.field({ type: 'JSONObject', description: 'Anything to keep with it: at most 16 KiB as JSON.' }),
  }),
})

const CreateSessionSuccess = builder.objectRef<{ session: SessionRow }>('CreateSessionSuccess').implement({
  description: 'The session is there.',
  fields: (t) => ({
    session: t.expose('session', { type: Session, description: 'The new session; the same one for a repeat.' }),
    edge: t.field({
      type: SessionEdge,
      description: "The same as an entry of `sessions`, for the viewer's list.",
      resolve: ({ session }) => sessionEdge(session),
    }),
  }),
})

builder.mutationField('createSession', (t) =>
  t.field({
    type: resultUnion('CreateSessionResult', 'What became of `createSession`.', CreateSessionSuccess, [
      InvalidInputError,
      NotFoundError,
      ConflictError,
      RateLimitedError,
    ]),
    description:
      'Makes a session whose owner is the viewer. The same id with the same content is the same session; with another content: ConflictError.',
    args: { input: t.arg({ type: CreateSessionInput, required: true, description: 'What it shall be.' }) },
    resolve: (_, { input }, ctx) => createSession(ctx, input),
  }),
)

const UpdateSessionInput = builder.inputType('UpdateSessionInput', {
  description: 'What shall change; what is left out or null stays as it is.',
  fields: (t) => ({
    sessionId: t.id({ required: true, description: "One of the viewer's own sessions." }),
    title: t.string({ description: '1 to 500 characters.' }),
    model: t.id({ description: 'Id of a model, as `models` lists it: `provider/model`.' }),
    settings: t.field({
      type: GenerationSettingsInput,
      description: 'Settings to change; one that is left out stays, null clears it.',
    }),
    isArchived: t.boolean({ description: 'Whether it is put away.' }),
    metadata: t.field({ type: 'JSONObject', description: 'Replaces what was kept: at most 16 KiB as JSON.' }),
  }),
})

const UpdateSessionSuccess = builder.objectRef<{ session: SessionRow }>('UpdateSessionSuccess').implement({
  description: 'The session is changed.',
  fields: (t) => ({
    session: t.expose('session', { type: Session, description: 'The session as it is now.' }),
  }),
})

builder.mutationField('updateSession', (t) =>
  t.field({
    type: resultUnion('UpdateSessionResult', 'What became of `updateSession`.', UpdateSessionSuccess, [
      InvalidInputError,
      NotFoundError,
      ForbiddenError,
    ]),
    description:
      'Changes the title, model, settings, archive state or metadata of a session, whichever are given. Only its owner may.',
    args: { input: t.arg({ type: UpdateSessionInput, required: true, description: 'What shall change.' }) },
    resolve: (_, { input }, ctx) => updateSession(ctx, input),
  }),
)

const DeleteSessionsInput = builder.inputType('DeleteSessionsInput', {
  description: 'What to delete.',
  fields: (t) => ({
    sessionIds: t.idList({ required: true, description: "1 to 100 of the viewer's own sessions." }),
  }),
})

const DeleteSessionsSuccess = builder.objectRef<{ sessionIds: string[] }>('DeleteSessionsSuccess').implement({
  description: 'The sessions are gone, with all that was in them.',
  fields: (t) => ({
    sessionIds: t.exposeIDList('sessionIds', { description: 'The sessions that were deleted.' }),
  }),
})

const DeleteSessionsResult = resultUnion(
  'DeleteSessionsResult',
  'What became of `deleteSessions` or `deleteEmptySessions`.',
  DeleteSessionsSuccess,
  [InvalidInputError, NotFoundError, ForbiddenError],
)

builder.mutationField('deleteSessions', (t) =>
  t.field({
    type: DeleteSessionsResult,
    description:
      'Deletes sessions with everything in them, for all who take part, after stopping what runs there: all of them or none. ' +
      'Only their owner may.',
    args: { input: t.arg({ type: DeleteSessionsInput, required: true, description: 'What to delete.' }) },
    resolve: (_, { input }, ctx) => deleteSessions(ctx, input),
  }),
)

builder.mutationField('deleteEmptySessions', (t) =>
  t.field({
    type: DeleteSessionsResult,
    description: 'Deletes all sessions that the viewer owns and in which there is no message.',
    resolve: (_source, _args, ctx) => deleteEmptySessions(ctx),
  }),
)
