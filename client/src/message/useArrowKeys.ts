import { useEffect, type RefObject } from 'react'

/** A list of articles is one stop for Tab, its newest; the arrows move between them. */
export function useArrowKeys(list: RefObject<HTMLElement | null>): void {
  useEffect(() => {
    const element = list.current
    function onKeyDown(event: KeyboardEvent) {
      if (event.key !== 'ArrowUp' && event.key !== 'ArrowDown') return
      const articles = [...element!.querySelectorAll<HTMLElement>(':scope > article')]
      const current = articles.indexOf(event.target as HTMLElement)
      const next = articles[current + (event.key === 'ArrowUp' ? -1 : 1)]
      if (current < 0 || !next) return
      event.preventDefault()
      articles[current]!.tabIndex = -1
      next.tabIndex = 0
      next.focus({ preventScroll: true })
      next.scrollIntoView({ block: 'nearest' })
    }
    element?.addEventListener('keydown', onKeyDown)
    return () => element?.removeEventListener('keydown', onKeyDown)
  }, [list])
}
