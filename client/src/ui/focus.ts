import { useLayoutEffect, type RefObject } from 'react'

/** A mouse or a pen: elsewhere focus in a text field brings up a keyboard that covers half the page. */
export const hasFinePointer = (): boolean => matchMedia('(pointer: fine)').matches

export function focusComposer(): void {
  document.querySelector<HTMLTextAreaElement>('textarea[aria-label="Message"]')?.focus()
}

/** Where reading and writing go on: the composer, or on a touch screen the conversation. */
export function focusConversation(): void {
  if (hasFinePointer()) focusComposer()
  else document.querySelector<HTMLElement>('[role=log] [tabindex="0"]')?.focus({ preventScroll: true })
}

/** When an element goes away while it has the focus, `next` takes it: else it would fall to the whole page. */
export function useHandFocusOn(ref: RefObject<HTMLElement | null>, next: () => void): void {
  useLayoutEffect(() => {
    const element = ref.current
    return () => {
      if (element?.contains(document.activeElement)) next()
    }
  }, [ref, next])
}
