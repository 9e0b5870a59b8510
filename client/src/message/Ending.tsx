import { RotateCcw } from 'lucide-react'
import type { MessageStatus } from '../../gql/graphql.ts'
import { useParley } from '../api/parley.ts'
import { Button } from '../ui/Button.tsx'
import type { MessageItemProps } from './MessageItem.tsx'
import { cutOf } from './status.ts'

/** How an answer ended, where it didn't end by itself, and a way to ask again. */
export function Ending({
  message,
  question,
  sessionId,
  canWrite,
  status,
}: Pick<MessageItemProps, 'message' | 'question' | 'sessionId' | 'canWrite'> & { status: MessageStatus }) {
  const { outbox } = useParley()

  function askAgain() {
    if (!question) return
    void outbox.send({
      sessionId,
      content: question.content,
      // Beside the question that failed, so that the model isn't shown the failure; a first one has nothing beside it.
      parentId: question.parent?.id,
    })
  }

  const again = canWrite && question && (
    <Button onClick={askAgain}>
      <RotateCcw aria-hidden className="size-3.5" />
      Try again
    </Button>
  )

  switch (status) {
    case 'FAILED':
      return (
        <div className="mt-2 rounded-xl border border-danger/40 bg-danger-soft px-4 py-3 text-sm">
          <p className="text-danger">{message.error?.message ?? 'The model failed.'}</p>
          {again && <div className="mt-2">{again}</div>}
        </div>
      )
    case 'INTERRUPTED':
      return (
        <div className="mt-2 flex flex-wrap items-center gap-3 text-sm text-muted">
          Interrupted: the server stopped while this was being written.
          {again}
        </div>
      )
    case 'COMPLETE': {
      const cut = cutOf(message)
      return cut ? <p className="mt-2 text-sm text-muted">{cut}</p> : null
    }
    case 'STOPPED':
      return <p className="mt-2 text-sm text-muted">Stopped</p>
    default:
      return null
  }
}
