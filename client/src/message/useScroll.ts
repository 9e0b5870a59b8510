import { useCallback, useEffect, useLayoutEffect, useRef, useState, type RefObject } from 'react'

/** This close to the end counts as being there. */
const nearPx = 48

export interface Scroll {
  isAtEnd: boolean
  toEnd(): void
  /** Goes to the end again where the reader has not left it. */
  keepEnd(): void
}

/**
 * Keeps the end in view while the content grows, until the reader scrolls up, and again once they are back at the end.
 * When older content comes before `firstId`, what was in view stays where it is; a virtual list sees to that itself.
 */
export function useScroll(ref: RefObject<HTMLElement | null>, firstId: string | undefined, isVirtual: boolean): Scroll {
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

  const keepEnd = useCallback(() => {
    if (isPinned.current && ref.current) ref.current.scrollTop = ref.current.scrollHeight
  }, [ref])

  useEffect(() => {
    const element = ref.current
    const content = element?.firstElementChild
    if (!element || !content) return
    let lastTop = element.scrollTop

    function onScroll() {
      const { scrollTop, scrollHeight, clientHeight } = element!
      const leftPx = scrollHeight - scrollTop - clientHeight
      // Content that shrinks moves up too, but to its very end; any other way up is the reader's, however small.
      if (leftPx <= 1) pin(true)
      else if (scrollTop < lastTop) pin(false)
      else if (scrollTop > lastTop && leftPx < nearPx) pin(true)
      lastTop = scrollTop
    }

    const observer = new ResizeObserver(() => {
      keepEnd()
      before.current.height = element.scrollHeight
    })
    observer.observe(content)
    observer.observe(element)
    element.addEventListener('scroll', onScroll, { passive: true })
    return () => {
      observer.disconnect()
      element.removeEventListener('scroll', onScroll)
    }
  }, [ref, pin, keepEnd])

  useLayoutEffect(() => {
    const element = ref.current
    if (!element) return
    if (before.current.firstId !== firstId && before.current.firstId !== undefined && !isPinned.current && !isVirtual) {
      element.scrollTop += element.scrollHeight - before.current.height
    }
    before.current = { firstId, height: element.scrollHeight }
  }, [ref, firstId, isVirtual])

  return { isAtEnd, toEnd, keepEnd }
}
