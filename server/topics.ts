import type { SessionEvent } from './log/event.ts'

/** What a person's list of sessions is told: the session was added to it, changed, or taken from it. */
export interface ViewerChange {
  kind: 'SessionListed' | 'SessionChanged' | 'SessionUnlisted'
  sessionId: string
}

/** Everything that goes over the bus, by topic; the comment names the key. */
export interface Topics {
  /** Session id. Stored events carry `seq`; those without one pass by. */
  session: SessionEvent[]
  /** User id. */
  viewer: ViewerChange
  /** `all`: somebody's first connection was made, or their last one ended. */
  presence: { userId: string; isOnline: boolean }
  /** `all`: whoever runs the generation is to stop it. */
  stop: { generationId: string }
  /** `all`: a token or key has ended before its time; `Credential.id`. */
  revoked: { credential: string }
}
