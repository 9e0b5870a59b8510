import { useState } from 'react'
import { useLocation } from 'wouter'
import type { ParticipantFieldsFragment, ParticipantRole } from '../../gql/graphql.ts'
import { outcomeOf } from '../api/errors.ts'
import { useParley } from '../api/parley.ts'
import type { OpenSession } from '../session/SessionHeader.tsx'
import { Button } from '../ui/Button.tsx'
import { Dialog } from '../ui/Dialog.tsx'
import { Avatar } from './Avatar.tsx'
import { LeaveSession, RemoveParticipant } from './operations.ts'

const roleWords: Record<ParticipantRole, string> = {
  OWNER: 'Owner',
  MEMBER: 'Reads and writes',
  VIEWER: 'Reads along',
}

export interface PeopleDialogProps {
  session: OpenSession
  people: readonly ParticipantFieldsFragment[]
  isOwner: boolean
  onClose: () => void
}

export function PeopleDialog({ session, people, isOwner, onClose }: PeopleDialogProps) {
  const { client, viewer } = useParley()
  const [, navigate] = useLocation()
  const [failure, setFailure] = useState<string>()
  const sessionId = session.id

  async function remove(userId: string) {
    const { data, error } = await client.mutation(RemoveParticipant, { input: { sessionId, userId } })
    const outcome = outcomeOf(data?.removeParticipant, error)
    setFailure(outcome.ok ? undefined : outcome.message)
  }

  async function leave() {
    const { data, error } = await client.mutation(LeaveSession, { input: { sessionId } })
    const outcome = outcomeOf(data?.leaveSession, error)
    if (outcome.ok) navigate('/', { replace: true })
    else setFailure(outcome.message)
  }

  return (
    <Dialog title="People" onClose={onClose}>
      <ul className="max-h-[60dvh] space-y-3 overflow-y-auto">
        {people.map(({ user, role, isOnline }) => (
          <li key={user.id} className="flex items-center gap-3">
            <Avatar name={user.name} isOnline={isOnline} />
            <div className="min-w-0 flex-1">
              <p className="truncate text-sm font-medium">
                {user.name}
                {user.id === viewer.id && <span className="text-muted"> (you)</span>}
              </p>
              <p className="text-xs text-muted">
                {roleWords[role]} · {isOnline ? 'here' : 'away'}
              </p>
            </div>
            {isOwner && user.id !== viewer.id && (
              <Button look="quiet" aria-label={`Remove ${user.name}`} onClick={() => void remove(user.id)}>
                Remove
              </Button>
            )}
            {!isOwner && user.id === viewer.id && (
              <Button look="quiet" onClick={() => void leave()}>
                Leave
              </Button>
            )}
          </li>
        ))}
      </ul>
      {failure && (
        <p role="alert" className="mt-3 text-sm text-danger">
          {failure}
        </p>
      )}
    </Dialog>
  )
}
