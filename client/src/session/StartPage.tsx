import { useEffect, useRef } from 'react'
import { useLocation } from 'wouter'
import { useParley } from '../api/parley.ts'
import { ComposerForm } from '../message/ComposerForm.tsx'
import { Suggestions } from '../message/Suggestions.tsx'
import { moveDraft, useDraft } from '../message/useDraft.ts'
import { hasFinePointer } from '../ui/focus.ts'
import { ConnectionBadge } from '../ui/ConnectionBadge.tsx'
import { SidebarButton } from '../ui/Frame.tsx'
import { useCreateSession } from './useCreateSession.ts'

/** An empty page with a place to write; the first message makes the session. */
export function StartPage() {
  const { outbox } = useParley()
  const [, navigate] = useLocation()
  const { create, isCreating, failure } = useCreateSession()
  const [draft, setDraft] = useDraft('new')

  const input = useRef<HTMLTextAreaElement>(null)
  useEffect(() => {
    if (hasFinePointer()) input.current?.focus()
  }, [])

  async function begin(content: string) {
    setDraft('')
    const sessionId = await create()
    if (!sessionId) {
      const written = input.current?.value ?? ''
      return setDraft([content, written].filter(Boolean).join('\n\n'))
    }
    // what was written meanwhile goes along
    moveDraft('new', sessionId)
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
        <ComposerForm
          ref={input}
          text={draft}
          onText={setDraft}
          onSend={(content) => void begin(content)}
          isBusy={isCreating}
        />
        <div className="column mt-4">
          <Suggestions
            onPick={(text) => {
              setDraft(text)
              input.current?.focus()
            }}
          />
        </div>
        {failure && (
          <p role="alert" className="column text-sm text-danger">
            {failure}
          </p>
        )}
      </div>
    </main>
  )
}
