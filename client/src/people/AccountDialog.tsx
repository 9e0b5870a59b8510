import { useState, type ReactNode } from 'react'
import { useLocation } from 'wouter'
import { outcomeOf, type Outcome } from '../api/errors.ts'
import { useParley } from '../api/parley.ts'
import { useStore } from '../api/useStore.ts'
import { Button } from '../ui/Button.tsx'
import { Dialog } from '../ui/Dialog.tsx'
import { DeleteViewer, SignOut, UpdateViewer } from './operations.ts'

/** One's own name, and the ways out. Once one is out the page goes on by itself, as whenever a token has ended. */
export function AccountDialog({ onClose }: { onClose: () => void }) {
  const [isDeleting, setDeleting] = useState(false)
  return isDeleting ? (
    <DeleteAccount onClose={onClose} onBack={() => setDeleting(false)} />
  ) : (
    <Account onClose={onClose} onDelete={() => setDeleting(true)} />
  )
}

function Account({ onClose, onDelete }: { onClose: () => void; onDelete: () => void }) {
  const { client, viewerName } = useParley()
  const [, navigate] = useLocation()
  const [name, setName] = useState(useStore(viewerName))
  const { isBusy, failure, run } = useRun()

  const rename = () =>
    run(async () => {
      const { data, error } = await client.mutation(UpdateViewer, { input: { name } })
      const outcome = outcomeOf(data?.updateViewer, error)
      if (!outcome.ok) return outcome
      viewerName.set(outcome.value.viewer.name)
      onClose()
      return outcome
    })
  const signOut = () =>
    run(async () => {
      const { data, error } = await client.mutation(SignOut, {})
      const outcome = outcomeOf(data?.signOut, error)
      if (outcome.ok) navigate('/', { replace: true })
      return outcome
    })

  return (
    <Dialog title="Your account" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          void rename()
        }}
      >
        <label className="block text-sm font-medium">
          Your name, as others see it
          <input
            dir="auto"
            data-autofocus
            value={name}
            maxLength={100}
            autoComplete="off"
            onChange={(event) => setName(event.target.value)}
            className="field mt-1"
          />
        </label>
        <Failure>{failure}</Failure>
        <div className="mt-5 flex justify-end gap-2">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" disabled={isBusy || name.trim() === ''}>
            Save
          </Button>
        </div>
      </form>
      <div className="mt-5 border-t border-line pt-4">
        <p className="text-sm text-muted">A guest who signs out can’t come back to their sessions.</p>
        <div className="mt-3 flex flex-wrap justify-between gap-2">
          <Button disabled={isBusy} onClick={() => void signOut()}>
            Sign out
          </Button>
          <Button look="quiet" className="text-danger!" onClick={onDelete}>
            Delete account…
          </Button>
        </div>
      </div>
    </Dialog>
  )
}

function DeleteAccount({ onClose, onBack }: { onClose: () => void; onBack: () => void }) {
  const { client, viewerName } = useParley()
  const [, navigate] = useLocation()
  const known = useStore(viewerName)
  const [name, setName] = useState('')
  const { isBusy, failure, run } = useRun()

  const remove = () =>
    run(async () => {
      const { data, error } = await client.mutation(DeleteViewer, { input: { name } })
      const outcome = outcomeOf(data?.deleteViewer, error)
      if (outcome.ok) navigate('/', { replace: true })
      return outcome
    })

  return (
    <Dialog title="Delete your account?" onClose={onClose}>
      <p className="text-muted">
        Your sessions will be gone, for everyone in them. What you said in those of others stays, without your name.
        This can’t be undone.
      </p>
      <form
        className="mt-4"
        onSubmit={(event) => {
          event.preventDefault()
          void remove()
        }}
      >
        <label className="block text-sm font-medium">
          Your name, “{known}”, to be sure
          <input
            dir="auto"
            data-autofocus
            value={name}
            autoComplete="off"
            onChange={(event) => setName(event.target.value)}
            className="field mt-1"
          />
        </label>
        <Failure>{failure}</Failure>
        <div className="mt-5 flex justify-end gap-2">
          <Button onClick={onBack}>Keep it</Button>
          <Button type="submit" look="danger" disabled={isBusy || name.trim() !== known.trim()}>
            Delete account
          </Button>
        </div>
      </form>
    </Dialog>
  )
}

/** Runs one thing at a time, and keeps the sentence of what failed. */
function useRun() {
  const [isBusy, setBusy] = useState(false)
  const [failure, setFailure] = useState<string>()
  async function run(work: () => Promise<Outcome<unknown>>) {
    setBusy(true)
    const outcome = await work()
    setBusy(false)
    setFailure(outcome.ok ? undefined : outcome.message)
  }
  return { isBusy, failure, run }
}

const Failure = ({ children }: { children: ReactNode }) =>
  children && (
    <p role="alert" className="mt-2 text-sm text-danger">
      {children}
    </p>
  )
