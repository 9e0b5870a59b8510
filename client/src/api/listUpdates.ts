import type { Cache } from '@urql/exchange-graphcache'
import type {
  ListedSessionFragment,
  SessionFilter,
  SessionsQuery,
  SessionsQueryVariables,
  ViewerEventsSubscription,
} from '../../gql/graphql.ts'
import { Sessions } from '../session/operations.ts'

export type ViewerEvent = ViewerEventsSubscription['viewerEvents']
type Edges = SessionsQuery['sessions']['edges']

export const activeSessions: SessionsQueryVariables = { filter: { isArchived: false } }
export const archivedSessions: SessionsQueryVariables = { filter: { isArchived: true } }

export function applyViewerEvent(cache: Cache, event: ViewerEvent): void {
  switch (event.__typename) {
    case 'SessionListed':
    case 'SessionChanged':
      return listSession(cache, event.session)
    case 'SessionUnlisted':
      return unlistSessions(cache, [event.sessionId])
  }
}

/** Into the list that it belongs to now, out of the other. */
export function listSession(cache: Cache, session: ListedSessionFragment): void {
  changeList(cache, session.isArchived ? activeSessions : archivedSessions, (edges) => without(edges, [session.id]))
  changeList(cache, session.isArchived ? archivedSessions : activeSessions, (edges) =>
    edges.some(({ node }) => node.id === session.id)
      ? edges
      : [{ __typename: 'SessionEdge', cursor: '', node: session } as Edges[number], ...edges],
  )
}

/** Out of every list, also those that were searched for. */
export function unlistSessions(cache: Cache, ids: readonly string[]): void {
  const lists = cache
    .inspectFields('Query')
    .filter(({ fieldName, arguments: args }) => fieldName === 'sessions' && !args?.after)
  for (const { arguments: args } of lists) {
    changeList(cache, { filter: args?.filter as SessionFilter }, (edges) => without(edges, ids))
  }
}

/** The next page after those that are shown. */
export function appendSessions(cache: Cache, variables: SessionsQueryVariables, more: SessionsQuery['sessions']): void {
  cache.updateQuery({ query: Sessions, variables }, (data) => {
    if (!data) return data
    const known = new Set(data.sessions.edges.map(({ node }) => node.id))
    const edges = [...data.sessions.edges, ...more.edges.filter(({ node }) => !known.has(node.id))]
    return { ...data, sessions: { ...data.sessions, edges, pageInfo: more.pageInfo } }
  })
}

function without(edges: Edges, ids: readonly string[]): Edges {
  return edges.filter(({ node }) => !ids.includes(node.id))
}

function changeList(cache: Cache, variables: SessionsQueryVariables, change: (edges: Edges) => Edges): void {
  cache.updateQuery({ query: Sessions, variables }, (data) =>
    data ? { ...data, sessions: { ...data.sessions, edges: change(data.sessions.edges) } } : data,
  )
}
