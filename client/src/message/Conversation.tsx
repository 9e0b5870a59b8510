import { useEffect, useMemo, useRef, useState } from 'react'
import type { SessionPageQuery } from '../../gql/graphql.ts'
import { useParley } from '../api/parley.ts'
import { useStore } from '../api/useStore.ts'
import { TypingLine } from '../people/TypingLine.tsx'
import { MessageList } from './MessageList.tsx'
import { OlderButton } from './OlderButton.tsx'
import { Suggestions } from './Suggestions.tsx'
import { ToEndButton } from './ToEndButton.tsx'
import { useScroll } from './useScroll.ts'

export interface ConversationProps {
  session: NonNullable<SessionPageQuery['session']>
  canWrite: boolean
  onSuggestion: (text: string) => void
}

/** Above so many messages only those near the view are on the page; below, the page's own search finds them all. */
const manyMessages = 200

/** The padding above the list and the place of the button before it. */
const listOffsetPx = 24 + 56

/** All that was said, oldest first, and what is on its way. */
export function Conversation({ session, canWrite, onSuggestion }: ConversationProps) {
  const { outbox } = useParley()
  const { edges, pageInfo } = session.messages
  const messages = useMemo(() => edges.map(({ node }) => node), [edges])
  const outgoing = useStore(outbox.unsent)
  const unsent = useMemo(() => {
    const known = new Set(messages.map(({ id }) => id))
    return outgoing.filter(({ id, sessionId }) => sessionId === session.id && !known.has(id))
  }, [outgoing, messages, session.id])

  const [isVirtual, setVirtual] = useState(session.messageCount > manyMessages)
  const scroller = useRef<HTMLDivElement>(null)
  const { isAtEnd, toEnd, keepEnd } = useScroll(scroller, messages[0]?.id, isVirtual)
  // In the midst of reading a change would move what is read; at the end nothing is seen of it.
  const isMany = session.messageCount > manyMessages || messages.length > manyMessages
  if (!isVirtual && isMany && isAtEnd) setVirtual(true)

  const newestUnsent = unsent.at(-1)?.id
  useEffect(() => {
    if (newestUnsent) toEnd()
  }, [newestUnsent, toEnd])

  return (
    <div className="relative flex min-h-0 flex-1 flex-col">
      <h2 className="sr-only">Conversation</h2>
      <div ref={scroller} className="min-h-0 flex-1 overflow-y-auto overscroll-contain [overflow-anchor:none]">
        <div className="column flex min-h-full flex-col pt-6 pb-2">
          {(pageInfo.hasPreviousPage || isVirtual) && (
            <div className="h-14 shrink-0 text-center">
              {pageInfo.hasPreviousPage ? (
                <OlderButton sessionId={session.id} before={pageInfo.startCursor ?? ''} />
              ) : (
                <p className="text-sm text-muted">The conversation begins here.</p>
              )}
            </div>
          )}
          <MessageList
            sessionId={session.id}
            messages={messages}
            unsent={unsent}
            canWrite={canWrite}
            isVirtual={isVirtual}
            scroller={scroller}
            offsetPx={listOffsetPx}
            onResize={keepEnd}
          />
          {messages.length === 0 && unsent.length === 0 && (
            <div className="m-auto w-full text-center">
              <h2 className="mb-5 text-xl font-semibold">{canWrite ? 'Start with an idea' : 'No messages yet'}</h2>
              {canWrite && <Suggestions onPick={onSuggestion} />}
            </div>
          )}
          <TypingLine sessionId={session.id} />
        </div>
      </div>
      {!isAtEnd && <ToEndButton onClick={toEnd} />}
    </div>
  )
}
