import { useEffect, useRef } from 'react'
import { useParley } from '../api/parley.ts'
import { useTyping } from '../people/useTyping.ts'
import { hasFinePointer } from '../ui/focus.ts'
import { ComposerForm } from './ComposerForm.tsx'
import { useDraft } from './useDraft.ts'

export interface ComposerProps {
  sessionId: string
  /** Text to begin with, e.g. a suggestion that was picked. */
  suggested: string | undefined
  isAnswering: boolean
  isStopping: boolean
  onStop: () => void
}

export function Composer({ sessionId, suggested, isAnswering, isStopping, onStop }: ComposerProps) {
  const { outbox } = useParley()
  const [draft, setDraft] = useDraft(sessionId)
  const { onWriting, onPause } = useTyping(sessionId)
  const input = useRef<HTMLTextAreaElement>(null)

  useEffect(() => {
    // Whoever writes elsewhere already, e.g. a search, goes on there.
    const isWriting = document.activeElement?.matches('input, textarea, dialog *') ?? false
    if (hasFinePointer() && !isWriting) input.current?.focus()
  }, [])

  useEffect(() => {
    if (suggested === undefined) return
    setDraft(suggested)
    input.current?.focus()
  }, [suggested, setDraft])

  function send(content: string) {
    onPause()
    setDraft('')
    void outbox.send({ sessionId, content })
  }

  return (
    <ComposerForm
      ref={input}
      text={draft}
      onText={(text) => {
        setDraft(text)
        if (text.trim()) onWriting()
        else onPause()
      }}
      onSend={send}
      onBlur={onPause}
      isAnswering={isAnswering}
      isStopping={isStopping}
      onStop={onStop}
    />
  )
}
