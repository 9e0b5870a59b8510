import { useEffect, useState } from 'react'
import { useQuery, useSubscription } from 'urql'
import { Link, useRoute } from 'wouter'
import type { ListedSessionFragment } from '../../gql/graphql.ts'
import { activeSessions, archivedSessions } from '../api/listUpdates.ts'
import { sentenceOf } from '../api/errors.ts'
import { useParley } from '../api/parley.ts'
import { useStore } from '../api/useStore.ts'
import { Button } from '../ui/Button.tsx'
import { Sessions, ViewerEvents } from './operations.ts'

export interface SessionListProps {
  isArchived: boolean
  /** Only those whose title has this in it; all where empty. */
  title: string
}

export function SessionList({ isArchived, title }: SessionListProps) {
  const { connection, client } = useParley()
  const all = isArchived ? archivedSessions : activeSessions
  const variables = title ? { filter: { isArchived, title } } : all
  const [{ data, error, fetching }, refetch] = useQuery({
    query: Sessions,
    variables,
    requestPolicy: 'cache-and-network',
  })
  useSubscription({ query: ViewerEvents })

  // The list has no log to resume: what changed while the connection was away is read again.
  const reconnects = useStore(connection.reconnects)
  useEffect(() => {
    if (reconnects > 0) refetch({ requestPolicy: 'network-only' })
  }, [reconnects, refetch])

  const [isLoading, setLoading] = useState(false)
  const sessions = (data?.sessions.edges ?? [])
    .map(({ node }) => node)
    .filter((session) => session.isArchived === isArchived)
    .sort((a, b) => b.updatedAt.localeCompare(a.updatedAt))
  const { hasNextPage, endCursor } = data?.sessions.pageInfo ?? {}

  async function loadMore() {
    setLoading(true)
    await client.query(Sessions, { ...variables, after: endCursor }, { requestPolicy: 'network-only' })
    setLoading(false)
  }

  return (
    <nav aria-label="Sessions" className="min-h-0 flex-1 overflow-y-auto px-2 pb-2">
      {isArchived && <h2 className="px-3 pt-1 pb-2 text-xs font-medium text-muted">Archive</h2>}
      {error && !data && (
        <div role="alert" className="px-3 py-2 text-sm text-danger">
          {sentenceOf(error)}
          <Button className="mt-2" onClick={() => refetch({ requestPolicy: 'network-only' })}>
            Try again
          </Button>
        </div>
      )}
      {data && !fetching && sessions.length === 0 && (
        <p className="px-3 py-2 text-sm text-muted">
          {title ? 'Nothing was found.' : isArchived ? 'Nothing is archived.' : 'No sessions yet.'}
        </p>
      )}
      <ul className="space-y-0.5">
        {sessions.map((session) => (
          <SessionLink key={session.id} session={session} />
        ))}
      </ul>
      {hasNextPage && (
        <Button look="quiet" className="mt-1 w-full" disabled={isLoading} onClick={() => void loadMore()}>
          {isLoading ? 'Loading…' : 'Show more'}
        </Button>
      )}
    </nav>
  )
}

function SessionLink({ session }: { session: ListedSessionFragment }) {
  const { viewer } = useParley()
  const [isOpen] = useRoute(`/s/${session.id}`)
  return (
    <li>
      <Link
        href={`/s/${session.id}`}
        aria-current={isOpen ? 'page' : undefined}
        className={`block truncate rounded-lg px-3 py-2 text-sm hover:bg-hover ${isOpen ? 'bg-hover font-medium' : ''}`}
      >
        <bdi>{session.title || 'New session'}</bdi>
        {session.owner.id !== viewer.id && <span className="ml-1.5 text-xs text-muted">with {session.owner.name}</span>}
      </Link>
    </li>
  )
}
