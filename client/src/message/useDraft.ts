import { useCallback, useState } from 'react'

const keyOf = (id: string) => `parley.draft.${id}`

/** What was written and not sent, kept in this browser through reloads and lost connections. */
export function useDraft(id: string): [text: string, setText: (text: string) => void] {
  const [text, setText] = useState(() => localStorage.getItem(keyOf(id)) ?? '')
  const set = useCallback(
    (next: string) => {
      setText(next)
      if (next) localStorage.setItem(keyOf(id), next)
      else localStorage.removeItem(keyOf(id))
    },
    [id],
  )
  return [text, set]
}
