import { useState } from 'react'
import { useLocation } from 'wouter'
import { outcomeOf } from '../api/errors.ts'
import { useParley } from '../api/parley.ts'
import { Button } from '../ui/Button.tsx'
import { Dialog } from '../ui/Dialog.tsx'
import { DeleteSessions } from './operations.ts'
import type { OpenSession } from './SessionHeader.tsx'

export function DeleteDialog({ session, onClose }: { session: OpenSession; onClose: () => void }) {
  const { client } = useParley()
  const [, navigate] = useLocation()
  const [isDeleting, setDeleting] = useState(false)
  const [failure, setFailure] = useState<string>()

  async function remove() {
    setDeleting(true)
    const { data, error } = await client.mutation(DeleteSessions, { input: { sessionIds: [session.id] } })
    const outcome = outcomeOf(data?.deleteSessions, error)
    setDeleting(false)
    if (outcome.ok) navigate('/', { replace: true })
    else setFailure(outcome.message)
  }

  return (
    <Dialog title="Delete this session?" onClose={onClose}>
      <p className="text-muted">
        “{session.title || 'New session'}” and all its messages will be gone, for everyone in it. This can’t be undone.
      </p>
      {failure && (
        <p role="alert" className="mt-2 text-sm text-danger">
          {failure}
        </p>
      )}
      <div className="mt-5 flex justify-end gap-2">
        <Button data-autofocus onClick={onClose}>
          Keep it
        </Button>
        <Button look="danger" disabled={isDeleting} onClick={() => void remove()}>
          Delete
        </Button>
      </div>
    </Dialog>
  )
}
