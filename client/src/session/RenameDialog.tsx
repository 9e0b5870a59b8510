import { useState } from 'react'
import { outcomeOf } from '../api/errors.ts'
import { useParley } from '../api/parley.ts'
import { Button } from '../ui/Button.tsx'
import { Dialog } from '../ui/Dialog.tsx'
import { UpdateSession } from './operations.ts'
import type { OpenSession } from './SessionHeader.tsx'

export function RenameDialog({ session, onClose }: { session: OpenSession; onClose: () => void }) {
  const { client } = useParley()
  const [title, setTitle] = useState(session.title)
  const [failure, setFailure] = useState<string>()

  async function rename() {
    const { data, error } = await client.mutation(UpdateSession, { input: { sessionId: session.id, title } })
    const outcome = outcomeOf(data?.updateSession, error)
    if (outcome.ok) onClose()
    else setFailure(outcome.message)
  }

  return (
    <Dialog title="Rename session" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          void rename()
        }}
      >
        <label className="block text-sm font-medium">
          Title
          <input
            dir="auto"
            data-autofocus
            value={title}
            maxLength={500}
            onChange={(event) => setTitle(event.target.value)}
            onFocus={(event) => event.target.select()}
            className="field mt-1"
          />
        </label>
        {failure && (
          <p role="alert" className="mt-2 text-sm text-danger">
            {failure}
          </p>
        )}
        <div className="mt-5 flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" disabled={title.trim() === ''}>
            Save
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
