import { RotateCcw } from 'lucide-react'
import { useState } from 'react'
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
  isAskedAgain,
  status,
}: Pick<MessageItemProps, 'message' | 'question' | 'sessionId' | 'canWrite' | 'isAskedAgain'> & {
  status: MessageStatus
}) {
  const { outbox, viewer } = useParley()
  const [isAsking, setAsking] = useState(false)

  async function askAgain() {
    if (!question) return
    setAsking(true)
    await outbox.send({
      sessionId,
      content: question.content,
      // Beside the question that failed, so that the model isn't shown the failure; a first one has nothing beside it.
      parentId: question.parent?.id,
    })
    setAsking(false)
  }

  // Nobody asks in somebody else's name.
  const again = canWrite && question?.author?.id === viewer.id && (
    <Button disabled={isAsking} onClick={() => void askAgain()}>
      <RotateCcw aria-hidden className="size-3.5" />
      Try again
    </Button>
  )

  if (isAskedAgain)
    return (
      <p className="mt-1 truncate text-xs text-muted">
        Asked again below. {message.error?.message ?? 'It was interrupted.'}
      </p>
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
