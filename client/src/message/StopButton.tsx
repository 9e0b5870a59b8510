import { Square } from 'lucide-react'
import { useRef } from 'react'
import { focusConversation, useHandFocusOn } from '../ui/focus.ts'

export interface StopButtonProps {
  isStopping: boolean
  onStop: (() => void) | undefined
}

/** Stops the answers that are being written. Goes away with them, and leaves the focus where writing goes on. */
export function StopButton({ isStopping, onStop }: StopButtonProps) {
  const ref = useRef<HTMLButtonElement>(null)
  useHandFocusOn(ref, focusConversation)
  return (
    <button
      ref={ref}
      type="button"
      aria-label="Stop"
      title="Stop (Esc)"
      // not `disabled`, which would take the focus away
      aria-disabled={isStopping || undefined}
      onClick={isStopping ? undefined : onStop}
      className="grid size-9 shrink-0 place-items-center rounded-full bg-ink text-paper hover:opacity-85 aria-disabled:opacity-50"
    >
      <Square aria-hidden className="size-3.5 fill-current" />
    </button>
  )
}
