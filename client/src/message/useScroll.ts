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
  // Written by each write of ours: its scroll event comes a frame later, when the heights may be others already.
  const last = useRef({ top: 0, height: 0, client: 0 })

  const pin = useCallback((next: boolean) => {
    isPinned.current = next
    setAtEnd(next)
  }, [])

  const scrollTo = useCallback(
    (top: number) => {
      const element = ref.current
      if (!element) return
      element.scrollTop = top
      last.current = placeOf(element)
    },
    [ref],
  )

  const toEnd = useCallback(() => {
    pin(true)
    scrollTo(ref.current?.scrollHeight ?? 0)
  }, [pin, ref, scrollTo])

  const keepEnd = useCallback(() => {
    if (isPinned.current) scrollTo(ref.current?.scrollHeight ?? 0)
  }, [ref, scrollTo])

  useEffect(() => {
    const element = ref.current
    const content = element?.firstElementChild
    if (!element || !content) return
    last.current = placeOf(element)
    let touchY = 0

    function onScroll() {
      const { top, height, client } = placeOf(element!)
      const leftPx = height - top - client
      const isMovedDown = top > last.current.top
      // Content that grew or shrank, and what the browser cut off then, moves the view as a reader would.
      const isMovedByReader = height === last.current.height && client === last.current.client
      if (!isPinned.current) {
        if (isMovedDown && leftPx < nearPx) pin(true)
      } else if (leftPx > 1) {
        if (isMovedByReader && top < last.current.top) pin(false)
        else if (!isMovedByReader) keepEnd()
      }
      last.current = placeOf(element!)
    }

    /** The reader wants to move up: the next write of ours would otherwise take them back before they have moved. */
    function letGo() {
      if (element!.scrollTop > 0) pin(false)
    }
    function onWheel({ deltaY, ctrlKey }: WheelEvent) {
      if (deltaY < 0 && !ctrlKey) letGo()
    }
    function onTouchStart({ touches }: TouchEvent) {
      touchY = touches[0]?.clientY ?? 0
    }
    function onTouchMove({ touches }: TouchEvent) {
      const y = touches[0]?.clientY ?? touchY
      if (y > touchY) letGo()
      touchY = y
    }
    function onKeyDown({ key }: KeyboardEvent) {
      if (key === 'PageUp' || key === 'Home' || key === 'ArrowUp') letGo()
    }
    function onPointerDown({ target, offsetX }: PointerEvent) {
      if (target === element && offsetX >= element!.clientWidth) letGo()
    }

    const observer = new ResizeObserver(() => {
      keepEnd()
      before.current.height = element.scrollHeight
    })
    observer.observe(content)
    observer.observe(element)
    const listening = new AbortController()
    const options = { passive: true, signal: listening.signal }
    element.addEventListener('scroll', onScroll, options)
    element.addEventListener('wheel', onWheel, options)
    element.addEventListener('touchstart', onTouchStart, options)
    element.addEventListener('touchmove', onTouchMove, options)
    element.addEventListener('keydown', onKeyDown, options)
    element.addEventListener('pointerdown', onPointerDown, options)
    return () => {
      observer.disconnect()
      listening.abort()
    }
  }, [ref, pin, keepEnd])

  useLayoutEffect(() => {
    const element = ref.current
    if (!element) return
    if (before.current.firstId !== firstId && before.current.firstId !== undefined && !isPinned.current && !isVirtual) {
      scrollTo(element.scrollTop + element.scrollHeight - before.current.height)
    }
    before.current = { firstId, height: element.scrollHeight }
  }, [ref, firstId, isVirtual, scrollTo])

  return { isAtEnd, toEnd, keepEnd }
}

const placeOf = ({ scrollTop, scrollHeight, clientHeight }: HTMLElement) => ({
  top: scrollTop,
  height: scrollHeight,
  client: clientHeight,
})
