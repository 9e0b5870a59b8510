import type { Cache } from '@urql/exchange-graphcache'
import type {
  MessageFieldsFragment,
  ParticipantFieldsFragment,
  SessionEventsSubscription,
  SessionPageQuery,
} from '../../gql/graphql.ts'
import { SessionPage } from '../session/operations.ts'

export type SessionEvent = SessionEventsSubscription['sessionEvents']
type Session = NonNullable<SessionPageQuery['session']>
type Connection = Session['messages']

/** Puts one event of a session's log into the cached page of that session. */
export function applySessionEvent(cache: Cache, event: SessionEvent): void {
  const { sessionId } = event
  switch (event.__typename) {
    case 'MessageAdded':
      return addMessage(cache, sessionId, event.message)
    case 'MessageDeleted':
      return changePage(cache, sessionId, (page) =>
        withEdges(page, (edges) => edges.filter(({ node }) => node.id !== event.messageId)),
      )
    case 'ParticipantJoined':
    case 'ParticipantChanged':
      return changePage(cache, sessionId, (page) => withParticipant(page, event.participant))
    case 'ParticipantLeft':
      return changePage(cache, sessionId, (page) => ({
        ...page,
        participants: page.participants.filter(({ user }) => user.id !== event.user.id),
      }))
  }
}

/** At the end of the session's messages, unless it is there already: the answer to a send and its event race. */
export function addMessage(cache: Cache, sessionId: string, message: MessageFieldsFragment): void {
  changePage(cache, sessionId, (page) =>
    withEdges(page, (edges) =>
      edges.some(({ node }) => node.id === message.id)
        ? edges
        : [...edges, { __typename: 'MessageEdge', cursor: '', node: message } as (typeof edges)[number]],
    ),
  )
}

/** An older page before those that are shown. */
export function prependMessages(cache: Cache, sessionId: string, older: Connection): void {
  changePage(cache, sessionId, (page) => {
    const known = new Set(page.messages.edges.map(({ node }) => node.id))
    const edges = [...older.edges.filter(({ node }) => !known.has(node.id)), ...page.messages.edges]
    return { ...page, messages: { ...page.messages, edges, pageInfo: older.pageInfo } }
  })
}

function withEdges(page: Session, change: (edges: Connection['edges']) => Connection['edges']): Session {
  return { ...page, messages: { ...page.messages, edges: change(page.messages.edges) } }
}

function withParticipant(page: Session, participant: ParticipantFieldsFragment): Session {
  const others = page.participants.filter(({ user }) => user.id !== participant.user.id)
  const before = page.participants.findIndex(({ user }) => user.id === participant.user.id)
  return { ...page, participants: others.toSpliced(before < 0 ? others.length : before, 0, participant) }
}

function changePage(cache: Cache, id: string, change: (page: Session) => Session): void {
  cache.updateQuery({ query: SessionPage, variables: { id } }, (data) =>
    data?.session ? { ...data, session: change(data.session) } : data,
  )
}
