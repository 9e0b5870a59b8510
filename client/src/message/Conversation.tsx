import { ArrowDown } from 'lucide-react'
import { useEffect, useMemo, useRef } from 'react'
import type { SessionPageQuery } from '../../gql/graphql.ts'
import { useParley } from '../api/parley.ts'
import { useStore } from '../api/useStore.ts'
import { TypingLine } from '../people/TypingLine.tsx'
import { IconButton } from '../ui/Button.tsx'
import { MessageItem } from './MessageItem.tsx'
import { OlderButton } from './OlderButton.tsx'
import { Suggestions } from './Suggestions.tsx'
import { UnsentItem } from './UnsentItem.tsx'
import { useArrowKeys } from './useArrowKeys.ts'
import { useScroll } from './useScroll.ts'

export interface ConversationProps {
  session: NonNullable<SessionPageQuery['session']>
  canWrite: boolean
  onSuggestion: (text: string) => void
}

/** All that was said, oldest first, and what is on its way. */
export function Conversation({ session, canWrite, onSuggestion }: ConversationProps) {
  const { outbox, viewer } = useParley()
  const messages = session.messages.edges.map(({ node }) => node)
  const known = new Set(messages.map(({ id }) => id))
  const unsent = useStore(outbox.unsent).filter(({ id, sessionId }) => sessionId === session.id && !known.has(id))
  const scroller = useRef<HTMLDivElement>(null)
  const list = useRef<HTMLDivElement>(null)
  useArrowKeys(list)
  const { isAtEnd, toEnd } = useScroll(scroller, messages[0]?.id)

  const newestUnsent = unsent.at(-1)?.id
  useEffect(() => {
    if (newestUnsent) toEnd()
  }, [newestUnsent, toEnd])

  const byId = useMemo(
    () => new Map(session.messages.edges.map(({ node }) => [node.id, node])),
    [session.messages.edges],
  )
  const isEmpty = messages.length === 0 && unsent.length === 0

  return (
    <div className="relative flex min-h-0 flex-1 flex-col">
      <h2 className="sr-only">Conversation</h2>
      <div ref={scroller} className="min-h-0 flex-1 overflow-y-auto overscroll-contain [overflow-anchor:none]">
        <div className="column flex min-h-full flex-col py-6">
          {session.messages.pageInfo.hasPreviousPage && (
            <OlderButton sessionId={session.id} before={session.messages.pageInfo.startCursor ?? ''} />
          )}
          {/* Tokens would chatter: what screen readers are told stands in a region of its own. */}
          <div ref={list} role="log" aria-label="Conversation" aria-live="off" className="space-y-6">
            {messages.map((message, index) => (
              <MessageItem
                key={message.id}
                message={message}
                question={message.parent ? byId.get(message.parent.id) : undefined}
                isOwn={message.author?.id === viewer.id}
                isLast={index === messages.length - 1}
                canWrite={canWrite}
                sessionId={session.id}
              />
            ))}
            {unsent.map((message) => (
              <UnsentItem key={message.id} message={message} />
            ))}
          </div>
          {isEmpty && <Suggestions canWrite={canWrite} onPick={onSuggestion} />}
          <TypingLine sessionId={session.id} />
        </div>
      </div>
      {!isAtEnd && (
        <IconButton
          label="To the newest message"
          look="plain"
          onClick={toEnd}
          className="absolute bottom-3 left-1/2 -translate-x-1/2 rounded-full! shadow-md"
        >
          <ArrowDown aria-hidden className="size-4" />
        </IconButton>
      )}
    </div>
  )
}
