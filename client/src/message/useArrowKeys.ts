import { useEffect, useState, type RefObject } from 'react'
import { flushSync } from 'react-dom'

/**
 * A list of articles is one stop for Tab: the one that has the focus, else the one that is read, else the newest. The
 * arrows move between them. Gives the index of the stop.
 */
export function useArrowKeys(
  list: RefObject<HTMLElement | null>,
  ids: readonly string[],
  readId: string | undefined,
): number {
  const [focusedId, setFocusedId] = useState<string>()

  useEffect(() => {
    const element = list.current
    function onFocusIn({ target }: FocusEvent) {
      setFocusedId((target as Element).closest<HTMLElement>('article')?.dataset.messageId)
    }
    function onFocusOut({ relatedTarget }: FocusEvent) {
      // Focus that went nowhere may come back, as when another window was in front.
      if (relatedTarget && !element!.contains(relatedTarget as Node)) setFocusedId(undefined)
    }
    function onKeyDown(event: KeyboardEvent) {
      if (event.key !== 'ArrowUp' && event.key !== 'ArrowDown') return
      const current = ids.indexOf((event.target as HTMLElement).dataset.messageId ?? '')
      const next = current < 0 ? undefined : ids[current + (event.key === 'ArrowUp' ? -1 : 1)]
      if (next === undefined) return
      event.preventDefault()
      flushSync(() => setFocusedId(next))
      focusOn(next)
    }
    // One that has just come onto the page is hidden, and can't have the focus, until its height is known.
    function focusOn(id: string, framesLeft = 3) {
      const article = element!.querySelector<HTMLElement>(`article[data-message-id="${CSS.escape(id)}"]`)
      article?.focus({ preventScroll: true })
      if (article && document.activeElement === article) article.scrollIntoView({ block: 'nearest' })
      else if (framesLeft > 0) requestAnimationFrame(() => focusOn(id, framesLeft - 1))
    }
    element?.addEventListener('focusin', onFocusIn)
    element?.addEventListener('focusout', onFocusOut)
    element?.addEventListener('keydown', onKeyDown)
    return () => {
      element?.removeEventListener('focusin', onFocusIn)
      element?.removeEventListener('focusout', onFocusOut)
      element?.removeEventListener('keydown', onKeyDown)
    }
  }, [list, ids])

  const stop = [focusedId, readId].map((id) => (id === undefined ? -1 : ids.indexOf(id))).find((index) => index >= 0)
  return stop ?? ids.length - 1
}
