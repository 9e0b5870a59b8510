import { undelivered, type Unsent } from '../../library/outbox.ts'
import { useParley } from '../api/parley.ts'
import { Button } from '../ui/Button.tsx'

const unreachable = 'The server can’t be reached. It is sent as soon as that changes.'

/** A message that the server has not confirmed: on its way, or failed with a way to try again. */
export function UnsentItem({ message, isStop }: { message: Unsent; isStop: boolean }) {
  const { outbox } = useParley()
  const { id, content, failure } = message
  return (
    <article
      data-message-id={id}
      data-status={failure ? 'UNSENT' : 'SENDING'}
      aria-label="You"
      tabIndex={isStop ? 0 : -1}
      className="flex flex-col items-end"
    >
      <div
        dir="auto"
        data-testid="message-content"
        className={`max-w-[85%] rounded-3xl bg-bubble px-4 py-2.5 break-words whitespace-pre-wrap [unicode-bidi:plaintext] ${failure ? '' : 'opacity-60'}`}
      >
        {content}
      </div>
      {failure && (
        <div role="alert" className="mt-2 flex flex-wrap items-center justify-end gap-2 text-sm text-danger">
          Not sent: {failure.code === undelivered ? unreachable : failure.message}
          <span className="flex gap-2">
            <Button onClick={() => void outbox.send(message)}>Retry</Button>
            <Button look="quiet" onClick={() => outbox.discard(id)}>
              Discard
            </Button>
          </span>
        </div>
      )}
    </article>
  )
}
