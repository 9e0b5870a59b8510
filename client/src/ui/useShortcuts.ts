import { useEffect } from 'react'
import { focusComposer } from './focus.ts'

export interface Shortcuts {
  /** Esc. */
  onStop?: (() => void) | undefined
  /** Ctrl or Cmd+Shift+O. */
  onNew?: () => void
  /** Ctrl or Cmd+K. */
  onSearch?: () => void
}

/** The page's keys. Shift+Esc, always, goes to where a message is written. */
export function useShortcuts({ onStop, onNew, onSearch }: Shortcuts): void {
  useEffect(() => {
    function actionOf(event: KeyboardEvent): (() => void) | undefined {
      const isMod = event.ctrlKey || event.metaKey
      const key = event.key.toLowerCase()
      if (key === 'escape') {
        if (event.shiftKey) return focusComposer
        return isOtherField(event.target) ? undefined : onStop
      }
      if (isMod && event.shiftKey && key === 'o') return onNew
      if (isMod && !event.shiftKey && key === 'k') return onSearch
      return undefined
    }
    function onKey(event: KeyboardEvent) {
      if (event.defaultPrevented || event.isComposing || document.querySelector('dialog[open]')) return
      const action = actionOf(event)
      if (!action) return
      event.preventDefault()
      action()
    }
    window.addEventListener('keydown', onKey)
    return () => window.removeEventListener('keydown', onKey)
  }, [onStop, onNew, onSearch])
}

/** Whether a key there has a meaning of its own, e.g. Esc in a search field. */
const isOtherField = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && target.matches('input, select, textarea:not([aria-label="Message"])')
