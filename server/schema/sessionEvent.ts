import { eventKinds, type SessionEvent as Event } from '../log/event.ts'
import { generationOfEvent, messageOfEvent, messageOfGeneration, participantOfEvent } from '../resolvers/events.ts'
import { builder } from './builder.ts'
import { Participant } from './participant.ts'
import { Generation, Message, Session } from './refs.ts'
import { User } from './user.ts'

export const SessionEvent = builder.interfaceRef<Event>('SessionEvent').implement({
  description:
    'What happens in a session, in order. Events with a `seq` are stored before anyone sees them; `seq` ascends within the ' +
    'session, and the last one that a client saw is all it needs to go on from. Typing and presence pass by, unstored, with ' +
    '`seq` null.',
  fields: (t) => ({
    sessionId: t.exposeID('sessionId', { description: 'Where it happened.' }),
    seq: t.exposeInt('seq', {
      nullable: true,
      description: "Position in the session's log; null for what passes by unstored.",
    }),
  }),
  resolveType: ({ kind }) => kind,
})

/** Of events that pass by. Other events' is never null, which GraphQL minds where one selection asks for both. */
const maybeParticipant =
  'Who, as a participant; null where they are none any more. Beside the `participant` of another event it needs an alias, since that is never null.'

const storedKinds: ReadonlySet<string> = new Set(eventKinds)

function eventRef(name: Event['kind']) {
  const ref = builder.objectRef<Event>(name)
  if (storedKinds.has(name))
    builder.objectField(ref, 'seq', (t) =>
      t.int({ description: "Position in the session's log.", resolve: ({ seq }) => seq! }),
    )
  return ref
}

const interfaces = [SessionEvent]

eventRef('MessageAdded').implement({
  description: 'A message was stored. When it is read again later, `message` is the message as it is then.',
  interfaces,
  fields: (t) => ({
    message: t.field({
      type: Message,
      description: 'The message.',
      resolve: (event, _args, ctx) => messageOfEvent(ctx, event),
    }),
  }),
})

eventRef('MessageUpdated').implement({
  description: 'A message was changed.',
  interfaces,
  fields: (t) => ({
    message: t.field({
      type: Message,
      description: 'The message as it is when this is read.',
      resolve: (event, _args, ctx) => messageOfEvent(ctx, event),
    }),
  }),
})

eventRef('MessageDeleted').implement({
  description: 'A message was deleted.',
  interfaces,
  fields: (t) => ({
    messageId: t.id({ description: 'The message that is gone.', resolve: ({ subjectId }) => subjectId! }),
  }),
})

export const MessageDelta = eventRef('MessageDelta').implement({
  description:
    'Text that was appended to a message: one token or, where they came faster than they were stored, several. The content ' +
    'up to and with this event is `content.slice(0, offset) + text`, whatever the client had before. The deltas of an ended ' +
    "generation may be folded into one, which then carries the last one's `seq`.",
  interfaces,
  fields: (t) => ({
    messageId: t.id({ description: 'The message that grew.', resolve: ({ messageId }) => messageId! }),
    offset: t.exposeInt('offset', {
      description: "Where `text` begins in the message's content, in UTF-16 code units.",
    }),
    text: t.exposeString('text', { description: 'What was appended.' }),
  }),
})

eventRef('GenerationStarted').implement({
  description: 'A model was asked for an answer.',
  interfaces,
  fields: (t) => ({
    generation: t.field({
      type: Generation,
      description: 'The run of the model, as it is when this is read.',
      resolve: (event, _args, ctx) => generationOfEvent(ctx, event),
    }),
  }),
})

eventRef('GenerationEnded').implement({
  description:
    'Exactly one for every started generation, whatever became of it. `message.content` is the whole text, and the deltas ' +
    'before this event add up to it.',
  interfaces,
  fields: (t) => ({
    generation: t.field({
      type: Generation,
      description: 'The run of the model.',
      resolve: (event, _args, ctx) => generationOfEvent(ctx, event),
    }),
    message: t.field({
      type: Message,
      description: 'What it wrote.',
      resolve: async (event, _args, ctx) => messageOfGeneration(ctx, await generationOfEvent(ctx, event)),
    }),
  }),
})

eventRef('SessionUpdated').implement({
  description: "The session's title, model, settings, archive state or metadata changed.",
  interfaces,
  fields: (t) => ({
    session: t.field({
      type: Session,
      description: 'The session as it is when this is read.',
      resolve: ({ sessionId }, _args, ctx) => ctx.loaders.session.load(sessionId),
    }),
  }),
})

eventRef('SessionDeleted').implement({
  description:
    'The last event; the log goes with the session, so `seq` is null and a later subscription gets NOT_FOUND.',
  interfaces,
})

eventRef('ParticipantJoined').implement({
  description: 'Someone joined the session.',
  interfaces,
  fields: (t) => ({
    participant: t.field({
      type: Participant,
      description: 'Who, and with what role.',
      resolve: (event, _args, ctx) => participantOfEvent(ctx, event),
    }),
  }),
})

eventRef('ParticipantLeft').implement({
  description: 'Someone left the session or was removed from it.',
  interfaces,
  fields: (t) => ({
    user: t.field({
      type: User,
      description: 'Who.',
      resolve: ({ subjectId }, _args, ctx) => ctx.loaders.user.load(subjectId!),
    }),
  }),
})

eventRef('ParticipantChanged').implement({
  description: 'Someone got another role.',
  interfaces,
  fields: (t) => ({
    participant: t.field({
      type: Participant,
      description: 'Who, and with what role.',
      resolve: (event, _args, ctx) => participantOfEvent(ctx, event),
    }),
  }),
})

export const TypingChanged = eventRef('TypingChanged').implement({
  description: 'Someone began to type, or stopped.',
  interfaces,
  fields: (t) => ({
    user: t.field({
      type: User,
      description: 'Who.',
      resolve: ({ subjectId }, _args, ctx) => ctx.loaders.user.load(subjectId!),
    }),
    participant: t.field({
      type: Participant,
      nullable: true,
      description: maybeParticipant,
      resolve: ({ sessionId, subjectId }, _args, ctx) => ctx.loaders.participant(sessionId, subjectId!),
    }),
    isTyping: t.exposeBoolean('isOn', { description: 'Whether they type now.' }),
  }),
})

eventRef('PresenceChanged').implement({
  description:
    'A participant connected for the first time, or their last connection ended. Also where someone who is online or not took another name.',
  interfaces,
  fields: (t) => ({
    user: t.field({
      type: User,
      description: 'Who.',
      resolve: ({ subjectId }, _args, ctx) => ctx.loaders.user.load(subjectId!),
    }),
    participant: t.field({
      type: Participant,
      nullable: true,
      description: maybeParticipant,
      resolve: ({ sessionId, subjectId }, _args, ctx) => ctx.loaders.participant(sessionId, subjectId!),
    }),
    isOnline: t.exposeBoolean('isOn', { description: 'Whether they have a connection open now.' }),
  }),
})

eventRef('Resync').implement({
  description: 'The log no longer reaches back to `after`: read the session again and go on from `lastSeq`.',
  interfaces,
  fields: (t) => ({
    lastSeq: t.exposeInt('lastSeq', { description: 'Position of the newest event in the log.' }),
  }),
})
