import type { PresenceStore } from '../people/presenceStore.ts'
import type { DeltaStore } from '../stream/deltaStore.ts'
import type { SessionEvent } from './sessionUpdates.ts'

/** Leads deltas, typing and presence to stores of their own; all but presence past the cache. */
export function interceptEvents(deltas: DeltaStore, presence: PresenceStore) {
  return (data: Record<string, unknown>): boolean => {
    const event = data as unknown as SessionEvent
    switch (event.__typename) {
      case 'MessageDelta':
        deltas.add(event)
        return true
      case 'TypingChanged':
        presence.setTyping(event.sessionId, event.user, event.isTyping)
        return true
      case 'PresenceChanged':
        presence.setOnline(event.sessionId, event.user.id, event.isOnline)
        // the cache keeps what they are called, which may be new
        return false
      default:
        return false
    }
  }
}
