import { X } from 'lucide-react'
import { useEffect, useId, useLayoutEffect, useRef, type ReactNode } from 'react'
import { IconButton } from './Button.tsx'

export interface DialogProps {
  title: string
  onClose: () => void
  children: ReactNode
}

/** A modal dialog by the browser's own means: focus stays inside, Esc closes, focus returns to where it was. */
export function Dialog({ title, onClose, children }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null)
  const titleId = useId()

  // Closed while it is still on the page: only then the browser gives the focus back.
  useLayoutEffect(() => {
    const dialog = ref.current
    if (dialog && !dialog.open) dialog.showModal()
    dialog?.querySelector<HTMLElement>('[data-autofocus]')?.focus()
    return () => dialog?.close()
  }, [])

  useEffect(() => {
    const dialog = ref.current
    const onCancel = (event: Event) => {
      event.preventDefault()
      onClose()
    }
    // The backdrop belongs to the dialog itself, everything on it to a child.
    const onClick = (event: Event) => {
      if (event.target === dialog) onClose()
    }
    dialog?.addEventListener('cancel', onCancel)
    dialog?.addEventListener('click', onClick)
    return () => {
      dialog?.removeEventListener('cancel', onCancel)
      dialog?.removeEventListener('click', onClick)
    }
  }, [onClose])

  return (
    <dialog
      ref={ref}
      aria-labelledby={titleId}
      className="m-auto w-[min(28rem,calc(100vw-2rem))] rounded-2xl border border-line bg-paper p-0 text-ink shadow-2xl backdrop:bg-black/40"
    >
      <div className="p-5">
        <div className="mb-3 flex items-center justify-between gap-3">
          <h2 id={titleId} className="text-lg font-semibold">
            {title}
          </h2>
          <IconButton label="Close" onClick={onClose} className="-mr-2">
            <X aria-hidden className="size-4" />
          </IconButton>
        </div>
        {children}
      </div>
    </dialog>
  )
}
