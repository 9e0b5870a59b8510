import { ArrowUp } from 'lucide-react'
import { useRef, type KeyboardEvent, type Ref } from 'react'
import { StopButton } from './StopButton.tsx'

const maxLength = 32_000

export interface ComposerFormProps {
  text: string
  onText: (text: string) => void
  onSend: (content: string) => void
  onBlur?: () => void
  isBusy?: boolean
  isAnswering?: boolean
  isStopping?: boolean
  onStop?: () => void
  ref?: Ref<HTMLTextAreaElement>
}

/**
 * Where a message is written. Enter sends and Shift+Enter begins a line; on a touch keyboard, which has no such Shift, Enter
 * begins a line. While an answer is written, Send becomes Stop.
 */
export function ComposerForm({
  text,
  onText,
  onSend,
  onBlur,
  isBusy = false,
  isAnswering = false,
  isStopping = false,
  onStop,
  ref,
}: ComposerFormProps) {
  const form = useRef<HTMLFormElement>(null)
  const isBlank = text.trim() === ''
  const length = text.length > maxLength ? [...text].length : text.length
  const isTooLong = length > maxLength
  const sendsByEnter = !matchMedia('(pointer: coarse)').matches

  function onKeyDown(event: KeyboardEvent<HTMLTextAreaElement>) {
    // While an input method composes, Enter picks a word; Safari ends composing first and tells only by keyCode 229.
    if (
      event.key !== 'Enter' ||
      !sendsByEnter ||
      event.shiftKey ||
      event.nativeEvent.isComposing ||
      event.keyCode === 229
    )
      return
    event.preventDefault()
    form.current?.requestSubmit()
  }

  return (
    <form
      ref={form}
      className="column pb-[max(1rem,env(safe-area-inset-bottom))]"
      onSubmit={(event) => {
        event.preventDefault()
        if (!isBlank && !isTooLong && !isBusy) onSend(text.trim())
      }}
    >
      <div className="flex items-end gap-2 rounded-3xl border border-line bg-raised p-2 pl-4 shadow-sm focus-within:border-accent">
        <textarea
          dir="auto"
          ref={ref}
          aria-label="Message"
          aria-invalid={isTooLong || undefined}
          aria-describedby={isTooLong ? 'too-long' : undefined}
          placeholder="Write a message"
          rows={1}
          enterKeyHint={sendsByEnter ? 'send' : 'enter'}
          value={text}
          onChange={(event) => onText(event.target.value)}
          onKeyDown={onKeyDown}
          onBlur={onBlur}
          className="field-sizing-content max-h-[40dvh] min-h-9 flex-1 resize-none bg-transparent py-1.5 leading-6 outline-none placeholder:text-muted"
        />
        {isAnswering && <StopButton isStopping={isStopping} onStop={onStop} />}
        {(!isAnswering || !isBlank) && (
          <button
            type="submit"
            aria-label="Send"
            title="Send (Enter)"
            disabled={isBlank || isTooLong || isBusy}
            className="grid size-9 shrink-0 place-items-center rounded-full bg-accent text-on-accent hover:bg-accent-strong disabled:bg-line disabled:text-muted"
          >
            <ArrowUp aria-hidden className="size-5" />
          </button>
        )}
      </div>
      {isTooLong && (
        <p id="too-long" role="alert" className="mt-1 px-4 text-sm text-danger">
          {length.toLocaleString()} characters; a message may have {maxLength.toLocaleString()}.
        </p>
      )}
    </form>
  )
}
