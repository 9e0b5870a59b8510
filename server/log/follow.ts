import { InvalidInputError } from '../errors.ts'
import { turnIfDue } from '../eventLoop.ts'
import { sessionEvents } from '../guards/accessTable.ts'
import { sessionEvent, type SessionEvent } from './event.ts'
import { mergeDeltas } from './merge.ts'
import { accessLost, LogCutError, type SessionLog } from './sessionLog.ts'
import type { Follower, Tail } from './tail.ts'

export interface FollowOptions {
  /** Position to go on from; null for live events only. */
  after: number | null
  viewerId: string
  /**
   * Whether the viewer may, by a rejection. Asked once the follower hears of removals: one that comes between asking and
   * listening would be missed.
   */
  authorize?: () => Promise<unknown>
  signal?: AbortSignal | undefined
}

/**
 * Everything in one session, in order: stored events beyond `after`, then live ones, with no hole and no repeat. Deltas of
 * one message that are ahead of the reader are joined. An `after` beyond the end gives `Resync` first.
 * @throws InvalidInputError where `after` is negative
 * @throws NotFoundError where there is no such session
 * @throws ForbiddenError once the viewer may no longer read it
 */
export async function* follow(
  log: SessionLog,
  sessionId: string,
  { after, viewerId, authorize, signal }: FollowOptions,
): AsyncGenerator<SessionEvent, void, undefined> {
  checkPosition(after)
  let wake: () => void = () => undefined
  let isAwake = true
  let ended: 'deleted' | 'access-lost' | 'stopped' | undefined
  const passing = new Map<string, SessionEvent>()
  const stir = (): void => {
    isAwake = true
    wake()
  }
  const follower: Follower = {
    wake: stir,
    passBy(event) {
      // e.g. the typist's own connections don't hear that they type
      if (sessionEvents[event.kind] === 'others' && event.subjectId === viewerId) return
      // the newest of each kind and person is all that counts, so nothing piles up for a slow reader
      passing.set(`${event.kind}:${event.subjectId}`, event)
      stir()
    },
    left(userId) {
      if (userId === viewerId) ended = 'access-lost'
      stir()
    },
    end(reason) {
      ended ??= reason
      stir()
    },
  }
  const abort = (): void => follower.end('stopped')
  signal?.addEventListener('abort', abort, { once: true })
  if (signal?.aborted) abort()
  const tail = await log.attach(sessionId, follower)
  try {
    await authorize?.()
    let position = after ?? tail.lastSeq
    if (position > tail.lastSeq) {
      // what was appended on another node may not have come here yet
      const lastSeq = await log.catchUp(tail)
      if (position > lastSeq) {
        position = lastSeq
        yield sessionEvent({ kind: 'Resync', sessionId, lastSeq })
      }
    }
    while (true) {
      isAwake = false
      const read = await readOrCut(log, tail, position)
      if (read instanceof LogCutError) {
        position = read.lastSeq
        if (!ended) yield sessionEvent({ kind: 'Resync', sessionId, lastSeq: position })
        continue
      }
      for (const event of mergeDeltas(read)) {
        const turn = turnIfDue()
        if (turn) await turn
        if (ended) break
        position = event.seq!
        yield event
      }
      if (ended === 'access-lost') throw accessLost()
      if (ended === 'stopped') return
      // nothing, although the log goes on: the session is being deleted, of which the follower will be told
      if (position < tail.lastSeq && read.length > 0 && !ended) continue
      const isDeleted = ended === 'deleted'
      const passed = [...passing.values()]
      passing.clear()
      for (const event of passed) {
        // ended while the reader was busy with the one before
        if (ended && !isDeleted) break
        yield event
      }
      if (isDeleted) return
      if (!isAwake) await new Promise<void>((resolve) => (wake = resolve))
    }
  } finally {
    signal?.removeEventListener('abort', abort)
    log.detach(tail, follower)
  }
}

async function readOrCut(log: SessionLog, tail: Tail, position: number): Promise<SessionEvent[] | LogCutError> {
  try {
    return await log.read(tail, position)
  } catch (error) {
    if (error instanceof LogCutError) return error
    throw error
  }
}

/** @throws InvalidInputError where a position to follow from is negative */
export function checkPosition(position: number | null, field: 'after' | 'offset' = 'after'): void {
  if (position === null || position >= 0) return
  const message = field === 'after' ? 'Must be 0 or the seq of an event.' : 'Must be 0 or the length of what you have.'
  throw new InvalidInputError([{ path: [field], message }])
}
