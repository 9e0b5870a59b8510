import { useState } from 'react'
import { useQuery } from 'urql'
import { useParley } from '../api/parley.ts'
import { Composer } from '../message/Composer.tsx'
import { Conversation } from '../message/Conversation.tsx'
import { hasDraft, moveDraft } from '../message/useDraft.ts'
import { isRunning } from '../message/status.ts'
import { useShortcuts } from '../ui/useShortcuts.ts'
import { Button } from '../ui/Button.tsx'
import { Notice } from '../ui/Notice.tsx'
import { Shell } from '../ui/Shell.tsx'
import { SessionPage as SessionPageQuery } from './operations.ts'
import { SessionHeader } from './SessionHeader.tsx'
import { useFollow } from './useFollow.ts'
import { useLocation } from 'wouter'
import { useStop } from '../message/useStop.ts'

/** One session: who is in it, what was said, and a place to write. */
export function SessionPage({ id, onSignedOut }: { id: string; onSignedOut: () => void }) {
  const { viewer } = useParley()
  const [, navigate] = useLocation()
  const { gone, isInTrouble } = useFollow(id, onSignedOut)
  // Following reads the session and keeps it true; this only shows what the cache holds.
  const [{ data }] = useQuery({ query: SessionPageQuery, variables: { id }, requestPolicy: 'cache-only' })
  const [draftText, setDraftText] = useState<string>()
  const session = data?.session

  const messages = (session?.messages.edges ?? []).map(({ node }) => node)
  const running = messages.filter(({ generation, status }) => generation && isRunning(status))
  const ownIds = new Set(messages.filter(({ author }) => author?.id === viewer.id).map(({ id }) => id))
  const ownRunning = running.filter(({ parent }) => parent && ownIds.has(parent.id))
  const { stop, isStopping, failure: stopFailure } = useStop()
  // A key that is pressed for many reasons stops no answer that somebody else waits for.
  useShortcuts({ onStop: ownRunning.length > 0 ? () => stop(ownRunning) : undefined })

  function leave() {
    moveDraft(id, 'new')
    navigate('/')
  }

  if (gone) {
    return (
      <Shell>
        <Notice
          title={gone === 'deleted' ? 'This session was deleted' : 'This session isn’t open to you'}
          isAlert
          action={<Button onClick={leave}>To the start</Button>}
        >
          {gone === 'deleted'
            ? 'Its owner deleted it, with everything in it.'
            : 'It doesn’t exist, or you are not, or no longer, one of its participants.'}
          {hasDraft(id) && ' What you were writing here waits for you at the start.'}
        </Notice>
      </Shell>
    )
  }
  if (!session) {
    return (
      <Shell>
        <p role="status" className="m-auto text-muted">
          {isInTrouble ? 'The server can’t be reached. Trying again…' : 'Opening…'}
        </p>
      </Shell>
    )
  }

  const role = session.participants.find(({ user }) => user.id === viewer.id)?.role
  return (
    <>
      <SessionHeader session={session} role={role} />
      <main className="flex min-h-0 flex-1 flex-col">
        <Conversation session={session} onSuggestion={setDraftText} canWrite={role !== 'VIEWER'} />
        {stopFailure && (
          <p role="alert" className="column pb-2 text-sm text-danger">
            {stopFailure}
          </p>
        )}
        {role === 'VIEWER' ? (
          <div className="column pb-[max(1rem,env(safe-area-inset-bottom))]">
            <p className="rounded-xl border border-line bg-raised px-4 py-3 text-sm text-muted">
              You are reading along. To write here, ask {session.owner.name} for an invitation to take part.
            </p>
          </div>
        ) : (
          <Composer
            key={session.id}
            sessionId={session.id}
            suggested={draftText}
            isAnswering={running.length > 0}
            isStopping={isStopping}
            onStop={() => stop(running)}
          />
        )}
      </main>
    </>
  )
}
