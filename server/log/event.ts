import type { ParticipantRole } from '../entities/participant.ts'

/**
 * Kinds of events, each named as its GraphQL type. A stored event's `kind` is its place in this list: add at the end,
 * never reorder. `MessageDelta` is first, since the SQL that stores deltas says 0.
 */
export const eventKinds = [
  'MessageDelta',
  'MessageAdded',
  'MessageUpdated',
  'MessageDeleted',
  'GenerationStarted',
  'GenerationEnded',
  'SessionUpdated',
  'ParticipantJoined',
  'ParticipantLeft',
  'ParticipantChanged',
] as const
export type StoredEventKind = (typeof eventKinds)[number]
export type EventKind = StoredEventKind | 'SessionDeleted' | 'TypingChanged' | 'PresenceChanged' | 'Resync'

/** Something that happened in a session: what the log holds and what followers get. One shape for all kinds. */
export interface SessionEvent {
  kind: EventKind
  sessionId: string
  /** Null for what passes by unstored. */
  seq: number | null
  /** Id of the message, generation or user that it tells of; null for a delta and for events of the session itself. */
  subjectId: string | null
  /** For a delta: its message, where its text begins in it (UTF-16 code units), and the text. */
  messageId: string | null
  offset: number
  text: string
  /** `ParticipantJoined`, `ParticipantChanged`: the role it was given. */
  role: ParticipantRole | null
  /** `TypingChanged`: is typing; `PresenceChanged`: is online. */
  isOn: boolean
  /** `Resync`: where to go on from. */
  lastSeq: number
  /** When it was appended; null for a delta, of which nobody asks. */
  createdAt: Date | null
}

/** What an appender says of an event; the log gives it its `seq`. */
export interface EventDraft {
  kind: StoredEventKind
  subjectId?: string
  role?: ParticipantRole
  delta?: { messageId: string; messageSeq: number; offset: number; text: string }
}

const blank: SessionEvent = {
  kind: 'SessionUpdated',
  sessionId: '',
  seq: null,
  subjectId: null,
  messageId: null,
  offset: 0,
  text: '',
  role: null,
  isOn: false,
  lastSeq: 0,
  createdAt: null,
}

/** An event with every property set, so that all events have one hidden class. */
export const sessionEvent = (of: Pick<SessionEvent, 'kind' | 'sessionId'> & Partial<SessionEvent>): SessionEvent => ({
  ...blank,
  ...of,
})

/** A delta, of which there are many: made without copying. */
export const deltaEvent = (
  sessionId: string,
  seq: number,
  messageId: string | null,
  offset: number,
  text: string,
): SessionEvent => ({
  kind: 'MessageDelta',
  sessionId,
  seq,
  subjectId: null,
  messageId,
  offset,
  text,
  role: null,
  isOn: false,
  lastSeq: 0,
  createdAt: null,
})
