import { useMemo, useRef, useState, type RefObject } from 'react'
import { Virtualizer, type VirtualizerHandle } from 'virtua'
import type { MessageFieldsFragment } from '../../gql/graphql.ts'
import type { Unsent } from '../../library/outbox.ts'
import { useParley } from '../api/parley.ts'
import { askedAgain } from './askedAgain.ts'
import { MessageItem } from './MessageItem.tsx'
import { UnsentItem } from './UnsentItem.tsx'
import { useArrowKeys } from './useArrowKeys.ts'
import { useSkipping } from './useSkipping.ts'

export interface MessageListProps {
  sessionId: string
  messages: readonly MessageFieldsFragment[]
  unsent: readonly Unsent[]
  canWrite: boolean
  /** Only what is near the view is on the page. */
  isVirtual: boolean
  scroller: RefObject<HTMLElement | null>
  /** From the scroller's content to the list, in pixels. */
  offsetPx: number
  /** Runs when heights have changed, before the picture is drawn. */
  onResize: () => void
}

/** Far enough that fast scrolling shows no gaps. */
const bufferPx = 1200

/** The log of what was said, one stop for Tab. */
export function MessageList(props: MessageListProps) {
  const { sessionId, messages, unsent, canWrite, isVirtual, scroller, offsetPx, onResize } = props
  const { viewer } = useParley()
  const list = useRef<HTMLDivElement>(null)
  const byId = useMemo(() => new Map(messages.map((message) => [message.id, message])), [messages])
  const entries = useMemo(() => [...messages, ...unsent], [messages, unsent])
  const repeated = useMemo(() => askedAgain(messages, unsent, viewer.id), [messages, unsent, viewer.id])
  const ids = useMemo(() => entries.map(({ id }) => id), [entries])
  const virtualizer = useRef<VirtualizerHandle>(null)
  const [readId, setReadId] = useState<string>()
  const stop = useArrowKeys(list, ids, readId)
  useSkipping(list, !isVirtual, entries.length)

  const [shown, setShown] = useState({ ids, isStartChanged: false })
  if (shown.ids !== ids) {
    setShown({ ids, isStartChanged: shown.ids[0] !== undefined && shown.ids[0] !== ids[0] })
  }

  const itemOf = (entry: MessageFieldsFragment | Unsent, index: number) => (
    <div key={entry.id} className="message">
      {'status' in entry ? (
        <MessageItem
          message={entry}
          question={entry.parent ? byId.get(entry.parent.id) : undefined}
          isOwn={entry.author?.id === viewer.id}
          isLast={index === messages.length - 1}
          isAskedAgain={repeated.has(entry.id)}
          isStop={index === stop}
          canWrite={canWrite}
          sessionId={sessionId}
        />
      ) : (
        <UnsentItem message={entry} isStop={index === stop} />
      )}
    </div>
  )

  return (
    // Tokens would chatter: what screen readers are told stands in a region of its own.
    <div ref={list} role="log" aria-label="Conversation" aria-live="off">
      {isVirtual ? (
        <Virtualizer
          ref={virtualizer}
          data={entries}
          bufferSize={bufferPx}
          scrollRef={scroller}
          startMargin={offsetPx}
          shift={shown.isStartChanged}
          // Those that the arrows lead to. Not an answer far below: just after a page was put before the others,
          // Virtua takes whatever grows for something above the view, and moves the view by as much.
          keepMounted={[stop - 1, stop, stop + 1].filter((index) => index >= 0)}
          onScrollEnd={() => {
            const { scrollOffset = 0, viewportSize = 0 } = virtualizer.current ?? {}
            setReadId(ids[virtualizer.current?.findItemIndex(scrollOffset + viewportSize) ?? -1])
          }}
          onResize={onResize}
        >
          {itemOf}
        </Virtualizer>
      ) : (
        entries.map(itemOf)
      )}
    </div>
  )
}
