import { useCallback, useEffect, useLayoutEffect, useRef, useState, type RefObject } from 'react'

/** This close to the end counts as being there. */
const nearPx = 48

export interface Scroll {
  isAtEnd: boolean
  toEnd(): void
}

/**
 * Keeps the end in view while the content grows, until the reader scrolls up, and again once they are back at the end.
 * When older content comes before `firstId`, what was in view stays where it is.
 */
export function useScroll(ref: RefObject<HTMLElement | null>, firstId: string | undefined): Scroll {
  const isPinned = useRef(true)
  const [isAtEnd, setAtEnd] = useState(true)
  const before = useRef({ firstId, height: 0 })

  const pin = useCallback((next: boolean) => {
    isPinned.current = next
    setAtEnd(next)
  }, [])

  const toEnd = useCallback(() => {
    pin(true)
    if (ref.current) ref.current.scrollTop = ref.current.scrollHeight
  }, [pin, ref])

  useEffect(() => {
    const element = ref.current
    const content = element?.firstElementChild
    if (!element || !content) return
    let lastTop = element.scrollTop

    function onScroll() {
      const { scrollTop, scrollHeight, clientHeight } = element!
      if (scrollHeight - scrollTop - clientHeight < nearPx) pin(true)
      // Growing content also leaves the end behind; only moving up means that the reader wants to let go.
      else if (scrollTop < lastTop) pin(false)
      lastTop = scrollTop
    }

    const observer = new ResizeObserver(() => {
      if (isPinned.current) element.scrollTop = element.scrollHeight
      before.current.height = element.scrollHeight
    })
    observer.observe(content)
    observer.observe(element)
    element.addEventListener('scroll', onScroll, { passive: true })
    return () => {
      observer.disconnect()
      element.removeEventListener('scroll', onScroll)
    }
  }, [ref, pin])

  useLayoutEffect(() => {
    const element = ref.current
    if (!element) return
    if (before.current.firstId !== firstId && before.current.firstId !== undefined && !isPinned.current) {
      element.scrollTop += element.scrollHeight - before.current.height
    }
    before.current = { firstId, height: element.scrollHeight }
  }, [ref, firstId])

  return { isAtEnd, toEnd }
}
