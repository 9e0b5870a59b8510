import { cacheExchange, type KeyingConfig, type UpdatesConfig } from '@urql/exchange-graphcache'
import type { Exchange } from 'urql'
import type {
  CreateSessionMutation,
  DeleteSessionsMutation,
  JoinSessionMutation,
  LeaveSessionMutation,
  OlderMessagesQuery,
  SendMessageMutation,
  SessionEventsSubscription,
  SessionsQuery,
  SessionsQueryVariables,
  UpdateSessionMutation,
  ViewerEventsSubscription,
} from '../../gql/graphql.ts'
import { addMessage, applySessionEvent, prependMessages } from './sessionUpdates.ts'
import { appendSessions, applyViewerEvent, listSession, unlistSessions } from './listUpdates.ts'

/** Types without an id belong to the one place where they stand; events and results only carry what is kept. */
const embedded = [
  'Participant GenerationSettings TokenUsage GenerationError FieldError PageInfo',
  'SessionConnection SessionEdge MessageConnection MessageEdge',
  'MessageAdded MessageUpdated MessageDeleted MessageDelta GenerationStarted GenerationEnded SessionUpdated',
  'SessionDeleted ParticipantJoined ParticipantLeft ParticipantChanged TypingChanged PresenceChanged Resync',
  'SessionListed SessionChanged SessionUnlisted',
  'SignInAsGuestSuccess CreateSessionSuccess UpdateSessionSuccess DeleteSessionsSuccess InviteToSessionSuccess',
  'JoinSessionSuccess LeaveSessionSuccess RemoveParticipantSuccess SendMessageSuccess StopGenerationSuccess',
  'SetTypingSuccess UpdateViewerSuccess DeleteViewerSuccess SignOutSuccess',
].flatMap((types) => types.split(' '))

const errors = [
  'InvalidInputError',
  'NotFoundError',
  'ForbiddenError',
  'ConflictError',
  'RateLimitedError',
  'ProviderUnavailableError',
]

const keys: KeyingConfig = {
  Provider: ({ name }) => (typeof name === 'string' ? name : null),
  ...Object.fromEntries([...embedded, ...errors].map((type) => [type, () => null])),
}

const updates: UpdatesConfig = {
  Query: {
    sessions({ sessions }: SessionsQuery, { after, filter }: SessionsQueryVariables, cache) {
      if (after) appendSessions(cache, { filter }, sessions)
    },
  },
  Session: {
    messages({ id, messages }: Page, { before }: { before?: string }, cache) {
      if (before) prependMessages(cache, id, messages)
    },
  },
  Mutation: {
    createSession({ createSession }: CreateSessionMutation, _args, cache) {
      if ('session' in createSession) listSession(cache, createSession.session)
    },
    joinSession({ joinSession }: JoinSessionMutation, _args, cache) {
      if ('session' in joinSession) listSession(cache, joinSession.session)
    },
    updateSession({ updateSession }: UpdateSessionMutation, _args, cache) {
      if ('session' in updateSession) listSession(cache, updateSession.session)
    },
    deleteSessions({ deleteSessions }: DeleteSessionsMutation, _args, cache) {
      if ('sessionIds' in deleteSessions) unlistSessions(cache, deleteSessions.sessionIds)
    },
    leaveSession({ leaveSession }: LeaveSessionMutation, _args, cache) {
      if ('sessionId' in leaveSession) unlistSessions(cache, [leaveSession.sessionId])
    },
    sendMessage({ sendMessage }: SendMessageMutation, { input }: { input: { sessionId: string } }, cache) {
      // Not the reply: its events may have told of its end before this answer, with the reply as it began, is here.
      if ('sent' in sendMessage) addMessage(cache, input.sessionId, sendMessage.sent)
    },
  },
  Subscription: {
    sessionEvents: (data: SessionEventsSubscription, _args, cache) => applySessionEvent(cache, data.sessionEvents),
    viewerEvents: (data: ViewerEventsSubscription, _args, cache) => applyViewerEvent(cache, data.viewerEvents),
  },
}

type Page = NonNullable<OlderMessagesQuery['session']>

/** The normalised cache of everything that the server said, but for deltas, typing and presence. */
export function createCache(): Exchange {
  return cacheExchange({ keys, updates, possibleTypes: { Error: errors }, logger })
}

/** Without a whole schema, Graphcache misses in each member of a union the fields of all others, and says so. */
function logger(severity: 'debug' | 'error' | 'warn', message: string) {
  if (!message.startsWith('Invalid undefined')) console[severity](message)
}
