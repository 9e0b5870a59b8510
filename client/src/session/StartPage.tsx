import { useLocation } from 'wouter'
import { useParley } from '../api/parley.ts'
import { ComposerForm } from '../message/ComposerForm.tsx'
import { useDraft } from '../message/useDraft.ts'
import { ConnectionBadge } from '../ui/ConnectionBadge.tsx'
import { SidebarButton } from '../ui/Frame.tsx'
import { useCreateSession } from './useCreateSession.ts'

/** An empty page with a place to write; the first message makes the session. */
export function StartPage() {
  const { outbox } = useParley()
  const [, navigate] = useLocation()
  const { create, isCreating, failure } = useCreateSession()
  const [draft, setDraft] = useDraft('new')

  async function begin(content: string) {
    const sessionId = await create()
    if (!sessionId) return
    setDraft('')
    void outbox.send({ sessionId, content })
    navigate(`/s/${sessionId}`)
  }

  return (
    <main className="flex min-h-0 flex-1 flex-col">
      <div className="flex h-14 shrink-0 items-center justify-between px-3">
        <SidebarButton />
        <span className="ml-auto">
          <ConnectionBadge />
        </span>
      </div>
      <div className="m-auto w-full pb-24">
        <h1 className="mb-6 px-4 text-center text-2xl font-semibold">What would you like to talk about?</h1>
        <ComposerForm text={draft} onText={setDraft} onSend={(content) => void begin(content)} isBusy={isCreating} />
        {failure && (
          <p role="alert" className="column text-sm text-danger">
            {failure}
          </p>
        )}
      </div>
    </main>
  )
}
