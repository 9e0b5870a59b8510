import { useEffect, type RefObject } from 'react'

/**
 * Lets the browser skip the list's items that are out of view. Each is laid out first, so that it keeps its true height
 * while it is skipped and nothing moves when it comes into view; and again where the width of all changes.
 */
export function useSkipping(list: RefObject<HTMLElement | null>, isOn: boolean, count: number): void {
  useEffect(() => {
    const element = list.current
    if (!element || !isOn) return
    let frame = 0
    let width = element.clientWidth

    function skip(isSkippable: boolean) {
      for (const item of element!.children) item.toggleAttribute('data-skippable', isSkippable)
    }
    function skipOnceLaidOut() {
      cancelAnimationFrame(frame)
      frame = requestAnimationFrame(() => (frame = requestAnimationFrame(() => skip(true))))
    }

    const observer = new ResizeObserver(() => {
      if (element.clientWidth === width) return
      width = element.clientWidth
      skip(false)
      skipOnceLaidOut()
    })
    observer.observe(element)
    skipOnceLaidOut()
    return () => {
      observer.disconnect()
      cancelAnimationFrame(frame)
    }
  }, [list, isOn, count])
}
