import { turnIfDue } from '../eventLoop.ts'
import { sessionEvents } from '../guards/accessTable.ts'
import { sessionEvent, type SessionEvent } from '../log/event.ts'
import { mergeDeltas } from '../log/merge.ts'
import { LogCutError, type SessionLog } from '../log/sessionLog.ts'
import type { Follower, Tail } from '../log/tail.ts'
import type { Outlet } from './outlet.ts'

/**
 * Makes payloads of frames from events: at once where the selection needs nothing but the event. Rejects only where the
 * database is away.
 */
export interface Renderer {
  one(event: SessionEvent): string | Promise<string>
  /** Payloads of events that are read at the same time, so that what they need is read together. */
  several(events: readonly SessionEvent[]): (string | Promise<string>)[]
}

/** How many events of somebody's backlog are rendered at once. */
const backlogBatch = 100

export type GroupEnd = 'deleted' | 'stopped' | 'access-lost' | 'failed'

export interface MemberOptions {
  viewerId: string
  after: number | null
  outlet: Outlet
  /**
   * Whether the viewer may, by a rejection. Asked once the group hears of removals: one that comes between asking and
   * listening would be missed.
   */
  authorize(): Promise<unknown>
  /** What stands before and behind the shared payload in the member's frames. */
  opening: string
  closing: string
  /** Called once, after the last frame. Not called after `leave`. */
  onEnd(end: GroupEnd): void
}

/** One follower among those who get the same frames. */
interface Member extends Omit<MemberOptions, 'authorize'> {
  /** `seq` of the last event that was sent to it. */
  position: number
  /** It was let in, and told where it begins. */
  hasJoined: boolean
  /** It has all that the group has, and gets events as they come; else it is catching up. */
  isLive: boolean
  /** What passed by while it was catching up: the newest of each kind and person. */
  passed: Map<string, SessionEvent> | undefined
  hasLeft: boolean
}

/**
 * All who follow one session with the same operation: each event is executed and stringified once for all of them. A
 * member whose socket is full is passed over; it reads on from its own position when there is room again.
 */
export class Group implements Follower {
  readonly #log: SessionLog
  readonly #renderer: Renderer
  readonly #members = new Set<Member>()
  readonly #onEmpty: () => void
  #tail: Tail | undefined
  #position = 0
  #isPumping = false
  #passed: SessionEvent[] = []
  #afterPump: (() => void) | undefined
  readonly #ready: Promise<void>

  constructor(log: SessionLog, sessionId: string, renderer: Renderer, onEmpty: () => void) {
    this.#log = log
    this.#renderer = renderer
    this.#onEmpty = onEmpty
    this.#ready = log.attach(sessionId, this).then((tail) => {
      this.#tail = tail
      this.#position = tail.lastSeq
    })
    this.#ready.catch(() => undefined)
  }

  /**
   * Adds a member; its frames begin at once, from its own position on.
   * @returns what takes it out again
   * @throws what `authorize` rejects with, or NotFoundError where there is no such session
   */
  async join({ authorize, ...options }: MemberOptions): Promise<() => void> {
    const member: Member = {
      ...options,
      position: 0,
      hasJoined: false,
      isLive: false,
      passed: undefined,
      hasLeft: false,
    }
    // a member from the start: who is removed from the session while this waits must not be let in
    this.#members.add(member)
    const leave = (): void => this.#remove(member)
    try {
      await this.#ready
      await authorize()
      const tail = this.#tail!
      member.position = member.after ?? tail.lastSeq
      if (member.position > tail.lastSeq) {
        // what was appended on another node may not have come here yet
        const lastSeq = await this.#log.catchUp(tail)
        if (member.position > lastSeq) {
          member.position = lastSeq
          keepPassed(member, sessionEvent({ kind: 'Resync', sessionId: tail.sessionId, lastSeq }))
        }
      }
    } catch (error) {
      leave()
      throw error
    }
    member.hasJoined = true
    void this.#catchUp(member)
    return leave
  }

  /** How many events each member is behind what is stored. */
  lags(): number[] {
    const lastSeq = this.#tail?.lastSeq ?? 0
    return [...this.#members]
      .filter(({ hasJoined }) => hasJoined)
      .map(({ position }) => Math.max(lastSeq - position, 0))
  }

  wake(): void {
    if (!this.#isPumping) this.#pump()
  }

  passBy(event: SessionEvent): void {
    this.#passed.push(event)
    this.wake()
  }

  left(userId: string): void {
    for (const member of [...this.#members]) if (member.viewerId === userId) this.#end(member, 'access-lost')
  }

  end(reason: 'deleted' | 'stopped'): void {
    // what was sent off before, as the deletion itself, goes first
    if (this.#isPumping && reason === 'deleted') {
      this.#afterPump = () => this.end(reason)
      return
    }
    for (const member of [...this.#members]) this.#end(member, reason)
  }

  /** Takes events to the live members as far as it can without waiting, and goes on when what it waits for is there. */
  #pump(): void {
    const tail = this.#tail
    if (!tail) return
    this.#isPumping = true
    while (true) {
      const events = this.#log.read(tail, this.#position)
      if (!Array.isArray(events)) return void this.#resumeAfter(events.then((read) => this.#showAll(read)))
      for (let index = 0; index < events.length; index++) {
        // the other groups of the session, of which there may be many, are woken by the same event
        const turn = turnIfDue()
        if (turn) return void this.#resumeAfter(turn)
        const pending = this.#show(events[index]!)
        if (pending) return void this.#resumeAfter(pending)
      }
      if (events.length > 0) continue
      const passed = this.#passed.shift()
      if (!passed) break
      const pending = this.#showPassing(passed)
      if (pending) return void this.#resumeAfter(pending)
    }
    this.#isPumping = false
    const after = this.#afterPump
    this.#afterPump = undefined
    after?.()
  }

  async #resumeAfter(pending: Promise<void>): Promise<void> {
    try {
      await pending
    } catch {
      this.#fail()
      // nobody is left to read for, and asking on would not end for as long as the database is away
      this.#isPumping = false
      return
    }
    this.#pump()
  }

  #fail(): void {
    for (const member of [...this.#members]) this.#end(member, 'failed')
  }

  async #showAll(events: SessionEvent[]): Promise<void> {
    // nothing, although the log goes on: the session is being deleted
    if (events.length === 0) this.#position = this.#tail!.lastSeq
    for (const event of events) {
      const turn = turnIfDue()
      if (turn) await turn
      await this.#show(event)
    }
  }

  #show(event: SessionEvent): Promise<void> | undefined {
    if (!this.#hasLive()) {
      this.#position = event.seq!
      return undefined
    }
    const payload = this.#renderer.one(event)
    if (typeof payload === 'string') return this.#deliver(event, payload)
    return payload.then((text) => this.#deliver(event, text))
  }

  #deliver(event: SessionEvent, payload: string): undefined {
    const seq = event.seq!
    this.#position = seq
    let opening: string | undefined
    let frame: string | Buffer = ''
    for (const member of this.#members) {
      if (!member.isLive || member.position >= seq) continue
      const { outlet } = member
      if (!outlet.isWritable) {
        this.#wait(member)
        continue
      }
      if (member.opening !== opening) {
        opening = member.opening
        frame = frameOf(member, payload)
      } else if (typeof frame === 'string') frame = Buffer.from(frame)
      outlet.send(frame)
      member.position = seq
    }
  }

  #showPassing(event: SessionEvent): Promise<void> | undefined {
    const payload = this.#renderer.one(event)
    if (typeof payload === 'string') return this.#deliverPassing(event, payload)
    return payload.then((text) => this.#deliverPassing(event, text))
  }

  #deliverPassing(event: SessionEvent, payload: string): undefined {
    const isForOthers = sessionEvents[event.kind] === 'others'
    for (const member of this.#members) {
      // e.g. the typist's own connections don't hear that they type
      if (isForOthers && event.subjectId === member.viewerId) continue
      // nothing comes after a deletion, so whoever lags would never hear of it
      const isLast = event.kind === 'SessionDeleted' && member.hasJoined
      if (isLast || (member.isLive && member.outlet.isWritable)) {
        member.outlet.send(frameOf(member, payload))
        continue
      }
      keepPassed(member, event)
      // else it would wait for the next stored event, and come after newer news
      if (member.isLive) this.#wait(member)
    }
  }

  #hasLive(): boolean {
    for (const member of this.#members) if (member.isLive) return true
    return false
  }

  #wait(member: Member): void {
    member.isLive = false
    member.outlet.onDrain(() => void this.#catchUp(member))
  }

  /** Brings one member to where the group is, at the pace of its own socket, with deltas joined. */
  async #catchUp(member: Member): Promise<void> {
    try {
      while (!member.hasLeft) {
        const read = this.#log.read(this.#tail!, member.position)
        const events = mergeDeltas(Array.isArray(read) ? read : await read)
        // most of the time goes into rendering: not for a member that left meanwhile
        if (member.hasLeft) return
        for (let start = 0; start < events.length; start += backlogBatch) {
          const batch = events.slice(start, start + backlogBatch)
          const payloads = this.#renderer.several(batch)
          for (const [index, event] of batch.entries()) {
            const payload = payloads[index]!
            const text = typeof payload === 'string' ? payload : await payload
            const turn = turnIfDue()
            if (turn) await turn
            if (member.hasLeft) return
            if (!member.outlet.isWritable) return this.#wait(member)
            member.outlet.send(frameOf(member, text))
            member.position = event.seq!
          }
        }
        if (events.length > 0) continue
        const [next] = member.passed ?? []
        if (next) {
          member.passed!.delete(next[0])
          const payload = this.#renderer.one(next[1])
          const text = typeof payload === 'string' ? payload : await payload
          if (member.hasLeft) return
          member.outlet.send(frameOf(member, text))
          continue
        }
        // Nothing was awaited since the last look, so nothing came between. Less than the group has, and no more to read:
        // the session is being deleted, of which all will be told.
        member.isLive = member.position >= this.#position
        return
      }
    } catch (error) {
      if (!(error instanceof LogCutError)) return this.#end(member, 'failed')
      const { lastSeq } = error
      member.position = lastSeq
      keepPassed(member, sessionEvent({ kind: 'Resync', sessionId: this.#tail!.sessionId, lastSeq }))
      void this.#catchUp(member)
    }
  }

  #end(member: Member, end: GroupEnd): void {
    if (member.hasLeft) return
    this.#remove(member)
    member.onEnd(end)
  }

  #remove(member: Member): void {
    member.hasLeft = true
    this.#members.delete(member)
    if (this.#members.size > 0) return
    this.#onEmpty()
    void this.#ready.then(
      () => this.#log.detach(this.#tail!, this),
      () => undefined,
    )
  }
}

const keepPassed = (member: Member, event: SessionEvent): void =>
  void (member.passed ??= new Map()).set(`${event.kind}:${event.subjectId}`, event)

const frameOf = ({ opening, closing }: Member, payload: string): string => opening + payload + closing
