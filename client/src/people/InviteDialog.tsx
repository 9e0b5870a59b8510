import { useEffect, useState } from 'react'
import type { ParticipantRole } from '../../gql/graphql.ts'
import { outcomeOf } from '../api/errors.ts'
import { useParley } from '../api/parley.ts'
import { CopyButton } from '../ui/CopyButton.tsx'
import { Dialog } from '../ui/Dialog.tsx'
import { invitationLink } from './invitation.ts'
import { InviteToSession } from './operations.ts'

/** Makes an invitation link; whoever opens it joins. */
export function InviteDialog({ sessionId, onClose }: { sessionId: string; onClose: () => void }) {
  const { client } = useParley()
  const [role, setRole] = useState<ParticipantRole>('MEMBER')
  const [invitation, setInvitation] = useState<{ link: string; expiresAt: Date }>()
  const [failure, setFailure] = useState<string>()

  useEffect(() => {
    let isCurrent = true
    void client.mutation(InviteToSession, { input: { sessionId, role } }).then(({ data, error }) => {
      if (!isCurrent) return
      const outcome = outcomeOf(data?.inviteToSession, error)
      if (!outcome.ok) return setFailure(outcome.message)
      const { token, expiresAt } = outcome.value
      setInvitation({ link: invitationLink(token), expiresAt: new Date(expiresAt) })
    })
    return () => {
      isCurrent = false
    }
  }, [client, sessionId, role])

  return (
    <Dialog title="Invite" onClose={onClose}>
      <label className="block text-sm font-medium">
        Whoever opens the link
        <select
          value={role}
          onChange={(event) => {
            setInvitation(undefined)
            setFailure(undefined)
            setRole(event.target.value as ParticipantRole)
          }}
          className="field mt-1"
        >
          <option value="MEMBER">can read and write</option>
          <option value="VIEWER">can read along</option>
        </select>
      </label>
      <label className="mt-4 block text-sm font-medium">
        Invitation link
        <input
          readOnly
          value={invitation?.link ?? ''}
          placeholder="Making a link…"
          onFocus={(event) => event.target.select()}
          className="field mt-1"
        />
      </label>
      {failure && (
        <p role="alert" className="mt-2 text-sm text-danger">
          {failure}
        </p>
      )}
      {invitation && (
        <div className="mt-3 flex items-center justify-between gap-3 text-sm text-muted">
          <span>Good until {invitation.expiresAt.toLocaleDateString(undefined, { dateStyle: 'long' })}.</span>
          <CopyButton text={invitation.link} label="Copy link" />
        </div>
      )}
    </Dialog>
  )
}
