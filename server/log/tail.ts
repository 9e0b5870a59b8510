import { turnIfDue } from '../eventLoop.ts'
import type { SessionEvent } from './event.ts'

/** Whoever reads a session's events as they come. It is called synchronously and must not throw. */
export interface Follower {
  /** There is more to read. */
  wake(): void
  /** An event that is not stored; it belongs after all stored ones so far. */
  passBy(event: SessionEvent): void
  /** This user left or was removed: nothing more may be shown to them. */
  left(userId: string): void
  /** Nothing more will come: the session was deleted, or the server stops. */
  end(reason: 'deleted' | 'stopped'): void
}

const keptEvents = 512

/** The newest events of one session that is being followed, and those who follow it. */
export class Tail {
  readonly sessionId: string
  readonly followers = new Set<Follower>()
  /** For whoever reads its stored events: after a restart all followers read the same ones. */
  readonly messageIds = new Map<number, string>()
  logId = 0
  lastSeq = 0
  isOpen = false
  readonly #readStored: (after: number) => Promise<SessionEvent[]>
  /** Every stored event beyond `#floor` and up to `lastSeq`. */
  #events: SessionEvent[] = []
  #floor = 0
  /** The newest `seq` that was heard of, also while the events before it were not. */
  #heard = 0
  #filling = false

  constructor(sessionId: string, readStored: (after: number) => Promise<SessionEvent[]>) {
    this.sessionId = sessionId
    this.#readStored = readStored
  }

  open(logId: number, lastSeq: number): void {
    this.logId = logId
    this.lastSeq = lastSeq
    this.#floor = lastSeq
    this.isOpen = true
    this.catchUp(this.#heard)
  }

  /** Takes events as they are published, in any order, also twice. */
  offer(events: readonly SessionEvent[]): void {
    let isNew = false
    for (const event of events) {
      if (event.seq === null) this.#passBy(event)
      else if (!this.isOpen || event.seq > this.lastSeq + 1) this.#heard = Math.max(this.#heard, event.seq)
      else if (event.seq === this.lastSeq + 1) {
        this.#take(event)
        isNew = true
      }
    }
    if (isNew) this.#wake()
    this.catchUp(this.#heard)
  }

  /** Reads from the database what lies between the newest event here and `seq`. */
  catchUp(seq: number): void {
    this.#heard = Math.max(this.#heard, seq)
    if (this.isOpen && this.#heard > this.lastSeq && !this.#filling) void this.#fill()
  }

  /** Events beyond `after`; undefined where they begin before those that are kept. */
  read(after: number): SessionEvent[] | undefined {
    if (after < this.#floor) return undefined
    if (after >= this.lastSeq) return []
    // seqs are without holes but for folded deltas, so the first guess is nearly always the place
    let index = Math.min(after - this.#floor, this.#events.length)
    while (index > 0 && this.#events[index - 1]!.seq! > after) index--
    return index === 0 ? this.#events.slice() : this.#events.slice(index)
  }

  end(reason: 'deleted' | 'stopped'): void {
    for (const follower of [...this.followers]) follower.end(reason)
  }

  #take(event: SessionEvent): void {
    this.#events.push(event)
    this.lastSeq = event.seq!
    if (this.#events.length >= 2 * keptEvents) {
      this.#floor = this.#events[keptEvents - 1]!.seq!
      this.#events = this.#events.slice(keptEvents)
    }
    // ended here and not where they read it: a slow follower would go on until it came to this event
    if (event.kind === 'ParticipantLeft') for (const follower of [...this.followers]) follower.left(event.subjectId!)
  }

  #passBy(event: SessionEvent): void {
    for (const follower of [...this.followers]) {
      follower.passBy(event)
      if (event.kind === 'SessionDeleted') follower.end('deleted')
    }
  }

  #wake(): void {
    for (const follower of this.followers) follower.wake()
  }

  async #fill(): Promise<void> {
    this.#filling = true
    try {
      while (this.#heard > this.lastSeq) {
        const turn = turnIfDue()
        if (turn) await turn
        const heard = this.#heard
        const events = await this.#readStored(this.lastSeq)
        const missing = events.filter((event) => event.seq! > this.lastSeq)
        if (missing.length === 0) {
          // heard of while this was read: it may not have been there yet
          if (this.#heard > heard) continue
          this.#heard = this.lastSeq
          break
        }
        for (const event of missing) this.#take(event)
        this.#wake()
      }
    } catch {
      // the database is away; the log's timer asks again
      this.#heard = this.lastSeq
    } finally {
      this.#filling = false
    }
  }
}
