import { ArrowDown } from 'lucide-react'
import { useRef } from 'react'
import { IconButton } from '../ui/Button.tsx'
import { focusConversation, useHandFocusOn } from '../ui/focus.ts'

/** Leads to the newest message; goes away there, and leaves the focus where reading and writing go on. */
export function ToEndButton({ onClick }: { onClick: () => void }) {
  const ref = useRef<HTMLButtonElement>(null)
  useHandFocusOn(ref, focusConversation)
  return (
    <IconButton
      ref={ref}
      label="To the newest message"
      look="plain"
      onClick={onClick}
      className="absolute bottom-3 left-1/2 -translate-x-1/2 rounded-full! shadow-md"
    >
      <ArrowDown aria-hidden className="size-4" />
    </IconButton>
  )
}
