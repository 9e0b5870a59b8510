import { useCallback, useState } from 'react'

const keyOf = (id: string) => `parley.draft.${id}`

/** What was written and not sent, kept in this browser through reloads and lost connections. */
export function useDraft(id: string): [text: string, setText: (text: string) => void] {
  const [text, setText] = useState(() => draftOf(id))
  const set = useCallback(
    (next: string) => {
      setText(next)
      keepDraft(id, next)
    },
    [id],
  )
  return [text, set]
}

/** Puts text behind what is written already, e.g. what could not be sent. */
export function appendToDraft(id: string, text: string): void {
  keepDraft(id, [draftOf(id), text].filter(Boolean).join('\n\n'))
}

export function hasDraft(id: string): boolean {
  return draftOf(id) !== ''
}

/** Moves a draft from a session that can't be written in any more to another. */
export function moveDraft(from: string, to: string): void {
  if (!hasDraft(from)) return
  appendToDraft(to, draftOf(from))
  keepDraft(from, '')
}

function draftOf(id: string): string {
  return localStorage.getItem(keyOf(id)) ?? ''
}

function keepDraft(id: string, text: string): void {
  if (text) localStorage.setItem(keyOf(id), text)
  else localStorage.removeItem(keyOf(id))
}
