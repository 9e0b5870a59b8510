import { memo } from 'react'
import type { MessageFieldsFragment } from '../../gql/graphql.ts'
import { CopyButton } from '../ui/CopyButton.tsx'
import { Ending } from './Ending.tsx'
import { MessageText } from './MessageText.tsx'
import { isRunning } from './status.ts'
import { useMessageText } from './useMessageText.ts'

export interface MessageItemProps {
  message: MessageFieldsFragment
  /** What it answers, where that is loaded. */
  question: MessageFieldsFragment | undefined
  sessionId: string
  isOwn: boolean
  isLast: boolean
  /** A question that failed, or its failed answer, once it was asked again: it is folded to a line. */
  isAskedAgain: boolean
  /** Where Tab stops in the list. */
  isStop: boolean
  canWrite: boolean
}

export const MessageItem = memo(function MessageItem(props: MessageItemProps) {
  const { message, isOwn, isLast, isStop, isAskedAgain } = props
  const { text, status } = useMessageText(message)
  const isAnswer = message.role !== 'USER'
  const name = isOwn ? 'You' : (message.author?.name ?? message.model?.name ?? 'System')
  const time = new Date(message.createdAt)

  return (
    <article
      data-message-id={message.id}
      data-status={status}
      aria-label={`${name}, ${time.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' })}`}
      aria-busy={isRunning(status) || undefined}
      tabIndex={isStop ? 0 : -1}
      className={`group relative rounded-lg ${isOwn ? 'flex flex-col items-end' : ''}`}
    >
      {!isAnswer && !isOwn && <p className="mb-1 text-xs font-medium text-muted">{name}</p>}
      {isAnswer ? (
        <MessageText text={text} status={status} />
      ) : isAskedAgain ? (
        <p dir="auto" className="max-w-[85%] truncate text-xs text-muted">
          {text}
        </p>
      ) : (
        <div
          dir="auto"
          data-testid="message-content"
          className={`w-fit max-w-[85%] rounded-3xl px-4 py-2.5 break-words whitespace-pre-wrap [unicode-bidi:plaintext] ${isOwn ? 'bg-bubble' : 'bg-bubble-other'}`}
        >
          {text}
        </div>
      )}
      {isAnswer && <Ending {...props} status={status} />}
      {!isRunning(status) && !isAskedAgain && (
        <div
          className={`flex min-h-7 items-center gap-2 text-xs text-muted transition-opacity ${isAnswer ? 'mt-1' : 'pointer-fine:absolute pointer-fine:top-full'} ${isAnswer && isLast ? '' : 'opacity-0 group-focus-within:opacity-100 group-hover:opacity-100 group-focus:opacity-100 pointer-coarse:opacity-100'}`}
        >
          {text && <CopyButton text={text} label="Copy message" tabIndex={isStop ? 0 : -1} />}
          {isAnswer && <Facts message={message} />}
          <time dateTime={message.createdAt} title={time.toLocaleString()}>
            {time.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' })}
          </time>
        </div>
      )}
    </article>
  )
})

function Facts({ message: { model, usage, generation } }: { message: MessageFieldsFragment }) {
  const facts = [
    model && model.name,
    usage && `${usage.isEstimated ? '≈ ' : ''}${usage.totalTokens.toLocaleString()} tokens`,
    generation?.responseTimeMs != null && `${(generation.responseTimeMs / 1000).toFixed(1)} s`,
  ].filter(Boolean)
  return <span>{facts.join(' · ')}</span>
}
