import { X } from 'lucide-react'
import { useState } from 'react'
import { IconButton } from './Button.tsx'

/** Says that who one was is gone; stays until it is closed. */
export function SignedOutBanner({ name }: { name: string }) {
  const [isClosed, setClosed] = useState(false)
  if (isClosed) return null
  return (
    <div role="alert" className="flex items-center gap-3 bg-warn-soft py-1 pr-2 pl-4 text-sm text-warn-ink">
      <p className="flex-1 text-center">
        You were signed out; you go on as a new guest, {name}. What you were writing is kept.
      </p>
      <IconButton label="Close" onClick={() => setClosed(true)} className="text-inherit!">
        <X aria-hidden className="size-4" />
      </IconButton>
    </div>
  )
}
