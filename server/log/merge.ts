import { deltaEvent, type SessionEvent } from './event.ts'

/**
 * Joins deltas of one message that follow each other directly into one with the last one's `seq`. Only directly: an
 * event's `seq` says that everything before it was delivered, so a delta may not overtake another message's.
 */
export function mergeDeltas(events: readonly SessionEvent[]): SessionEvent[] {
  const merged: SessionEvent[] = []
  let index = 0
  while (index < events.length) {
    const first = events[index++]!
    let last = first
    let text = first.text
    if (first.kind === 'MessageDelta')
      while (index < events.length && continues(last, events[index]!)) {
        last = events[index++]!
        text += last.text
      }
    merged.push(last === first ? first : deltaEvent(first.sessionId, last.seq!, first.messageId, first.offset, text))
  }
  return merged
}

const continues = (before: SessionEvent, event: SessionEvent): boolean =>
  event.kind === 'MessageDelta' &&
  event.messageId === before.messageId &&
  event.offset === before.offset + before.text.length
