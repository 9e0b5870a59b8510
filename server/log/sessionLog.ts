import type { Bus } from '../bus/bus.ts'
import { ForbiddenError, NotFoundError } from '../errors.ts'
import type { Storage, Tx } from '../storage/storage.ts'
import type { Topics } from '../topics.ts'
import { eventKinds, sessionEvent, type EventDraft, type SessionEvent } from './event.ts'
import { readEvents, readLog } from './read.ts'
import { Tail, type Follower } from './tail.ts'

export interface SessionLogOptions {
  /** Milliseconds between looks at the database for what the bus may have lost. Default 1000. */
  pollIntervalMs?: number
}

const pollsAtOnce = 3

interface Attached {
  tail: Tail
  ready: Promise<void>
  unsubscribe: () => void
}

/**
 * The log of every session: append to it in a transaction, follow it from any position. What is appended is stored
 * before anyone sees it; followers read from a tail in memory, and from the database where they come from further back.
 */
export class SessionLog {
  readonly #storage: Storage
  readonly #bus: Bus<Topics>
  readonly #pollIntervalMs: number
  readonly #attached = new Map<string, Attached>()
  #timer: NodeJS.Timeout | undefined

  constructor(storage: Storage, bus: Bus<Topics>, options: SessionLogOptions = {}) {
    this.#storage = storage
    this.#bus = bus
    this.#pollIntervalMs = options.pollIntervalMs ?? 1000
  }

  start(): void {
    let running = 0
    this.#timer = setInterval(() => {
      // while the database does not answer, more of them would take up its connections
      if (running === pollsAtOnce) return
      running++
      void this.#poll()
        .catch(() => undefined)
        .finally(() => running--)
    }, this.#pollIntervalMs)
  }

  stop(): void {
    clearInterval(this.#timer)
    for (const { tail, unsubscribe } of this.#attached.values()) {
      unsubscribe()
      tail.end('stopped')
    }
    this.#attached.clear()
  }

  /** Makes the log of a new session, in the transaction that makes the session. */
  async create(tx: Tx, sessionId: string): Promise<void> {
    await tx.run(`INSERT INTO session_logs (session_id, last_seq) VALUES (?, 0)`, [sessionId])
  }

  /**
   * Appends events in the transaction of the change that they tell of, and publishes them once it is committed.
   * @returns the events with their `seq`
   * @throws NotFoundError where the session is gone
   */
  async append(tx: Tx, sessionId: string, drafts: readonly EventDraft[]): Promise<SessionEvent[]> {
    // the row lock that this takes makes the order of commits the order of `seq`
    const [log] = await tx.all<{ logId: number; lastSeq: number }>(
      `UPDATE session_logs SET last_seq = last_seq + ? WHERE session_id = ? RETURNING log_id AS "logId", last_seq AS "lastSeq"`,
      [drafts.length, sessionId],
    )
    if (!log) throw new NotFoundError('There is no such session.')
    const createdAt = new Date()
    const events = drafts.map(({ kind, subjectId, role, delta }, index) =>
      sessionEvent({
        kind,
        sessionId,
        seq: log.lastSeq - drafts.length + 1 + index,
        subjectId: subjectId ?? null,
        role: role ?? null,
        messageId: delta?.messageId ?? null,
        offset: delta?.offset ?? 0,
        text: delta?.text ?? '',
        createdAt: delta ? null : createdAt,
      }),
    )
    await tx.run(
      `INSERT INTO session_events (log_id, seq, kind, subject_id, message_seq, text_offset, data, created_at)
       VALUES ${events.map(() => '(?, ?, ?, ?, ?, ?, ?, ?)').join(', ')}`,
      events.flatMap((event, index) => {
        const { kind, delta } = drafts[index]!
        return [
          log.logId,
          event.seq,
          eventKinds.indexOf(kind),
          event.subjectId,
          delta?.messageSeq ?? null,
          delta?.offset ?? null,
          delta?.text ?? event.role,
          createdAt,
        ]
      }),
    )
    tx.afterCommit(() => this.publish(sessionId, events))
    return events
  }

  /** Wakes followers, here and on other nodes. For whoever has stored the events by other means than `append`. */
  publish(sessionId: string, events: SessionEvent[]): void {
    this.#bus.publish('session', sessionId, events)
  }

  /** Sends an event that is not stored to whoever follows now. */
  passBy(event: SessionEvent): void {
    this.publish(event.sessionId, [event])
  }

  /** Sends an event that is not stored to those who follow on this node. */
  passByHere(event: SessionEvent): void {
    this.#attached.get(event.sessionId)?.tail.offer([event])
  }

  /** To be called once a session's deletion is committed: tells its followers and ends them. */
  deleted(sessionId: string): void {
    this.passBy(sessionEvent({ kind: 'SessionDeleted', sessionId }))
  }

  /** Ids of the sessions that someone follows on this node. */
  followedSessions(): string[] {
    return [...this.#attached.keys()]
  }

  /**
   * Adds a follower; from its resolution on it is woken for every event. It reads on by `read` from a position of its own.
   * @throws NotFoundError where there is no such session
   */
  async attach(sessionId: string, follower: Follower): Promise<Tail> {
    let attached = this.#attached.get(sessionId)
    if (!attached) {
      attached = this.#open(sessionId)
      this.#attached.set(sessionId, attached)
    }
    const { tail } = attached
    tail.followers.add(follower)
    try {
      await attached.ready
    } catch (error) {
      this.detach(tail, follower)
      throw error
    }
    return tail
  }

  detach(tail: Tail, follower: Follower): void {
    tail.followers.delete(follower)
    if (tail.followers.size > 0) return
    const attached = this.#attached.get(tail.sessionId)
    if (attached?.tail !== tail) return
    attached.unsubscribe()
    this.#attached.delete(tail.sessionId)
  }

  /**
   * Asks the database how far a session's log reaches, and lets the tail read up to there.
   * @throws NotFoundError where there is no such session
   */
  async catchUp(tail: Tail): Promise<number> {
    const log = await readLog(this.#storage, tail.sessionId)
    if (!log) throw new NotFoundError('There is no such session.')
    tail.catchUp(log.lastSeq)
    return log.lastSeq
  }

  /**
   * Stored events beyond `after`, oldest first: from memory at once, else a batch from the database.
   * @throws LogCutError where the log no longer reaches back so far
   */
  read(tail: Tail, after: number): SessionEvent[] | Promise<SessionEvent[]> {
    return tail.read(after) ?? this.#readStored(tail, after)
  }

  async #readStored(tail: Tail, after: number): Promise<SessionEvent[]> {
    const events = await readEvents(this.#storage, tail, after)
    if (events[0]?.seq === after + 1) return events
    const log = await readLog(this.#storage, tail.sessionId)
    // none, where the session is being deleted
    if (!log || log.lastSeq <= after) return events
    tail.catchUp(log.lastSeq)
    throw new LogCutError(log.lastSeq)
  }

  #open(sessionId: string): Attached {
    const tail = new Tail(sessionId, (after) => readEvents(this.#storage, tail, after))
    let unsubscribe = (): void => undefined
    let closed = false
    const ready = (async () => {
      // first the wake-up, then the position: what is appended between the two is seen twice rather than never
      const live = await this.#bus.subscribe('session', sessionId, (events) => tail.offer(events))
      if (closed) live()
      else unsubscribe = live
      const log = await readLog(this.#storage, sessionId)
      if (!log) throw new NotFoundError('There is no such session.')
      tail.open(log.logId, log.lastSeq)
    })()
    ready.catch(() => undefined)
    return {
      tail,
      ready,
      unsubscribe: () => {
        closed = true
        unsubscribe()
      },
    }
  }

  /** The bus may lose a wake-up; this finds what it lost, and sessions that are gone. */
  async #poll(): Promise<void> {
    const open = [...this.#attached.values()].map(({ tail }) => tail).filter((tail) => tail.isOpen)
    if (open.length === 0) return
    const { dialect, read } = this.#storage
    const rows = await read.all<{ logId: number; lastSeq: number }>(
      `SELECT log_id AS "logId", last_seq AS "lastSeq" FROM session_logs WHERE ${dialect.isIn('log_id')}`,
      [dialect.list(open.map((tail) => tail.logId))],
    )
    const lastSeqs = new Map(rows.map((row) => [row.logId, row.lastSeq]))
    for (const tail of open) {
      const lastSeq = lastSeqs.get(tail.logId)
      if (lastSeq === undefined) tail.offer([sessionEvent({ kind: 'SessionDeleted', sessionId: tail.sessionId })])
      else tail.catchUp(lastSeq)
    }
  }
}

/** The events directly behind a position are no longer in the log. */
export class LogCutError extends Error {
  /** Where to go on from. */
  readonly lastSeq: number

  constructor(lastSeq: number) {
    super('The log no longer reaches back to this position.')
    this.lastSeq = lastSeq
  }
}

/** What a follower is ended with when the viewer may no longer read the session. */
export const accessLost = (): ForbiddenError => new ForbiddenError('You are no longer a participant of this session.')
