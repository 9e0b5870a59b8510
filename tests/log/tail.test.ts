import { describe, expect, test } from 'vitest'
import { deltaEvent, sessionEvent, type SessionEvent } from '../../server/log/event.ts'
import { mergeDeltas } from '../../server/log/merge.ts'
import { Tail } from '../../server/log/tail.ts'

const sessionId = 'session'
const event = (seq: number): SessionEvent => sessionEvent({ kind: 'SessionUpdated', sessionId, seq })
const range = (from: number, to: number): SessionEvent[] =>
  Array.from({ length: to - from + 1 }, (_, index) => event(from + index))
const seqs = (events: readonly SessionEvent[] | undefined) => events?.map(({ seq }) => seq)

/** A tail over a log of which everything up to `stored.last` can be read. */
function newTail(last = 0) {
  const stored = { last, reads: 0, fails: false }
  const tail = new Tail(sessionId, async (after) => {
    stored.reads++
    if (stored.fails) throw new Error('The database is away.')
    return range(after + 1, Math.min(stored.last, after + 1000))
  })
  tail.open(1, last)
  return { tail, stored }
}

function woken(tail: Tail, until: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const follower = {
      wake() {
        if (!until()) return
        tail.followers.delete(follower)
        resolve()
      },
      passBy() {},
      left() {},
      end() {},
    }
    tail.followers.add(follower)
    follower.wake()
  })
}

describe('the tail of a session', () => {
  test('gives what lies beyond a position, and undefined where it does not reach back so far', () => {
    const { tail } = newTail(10)
    tail.offer(range(11, 15))
    expect([seqs(tail.read(10)), seqs(tail.read(12)), seqs(tail.read(15)), tail.read(9)]).toEqual([
      [11, 12, 13, 14, 15],
      [13, 14, 15],
      [],
      undefined,
    ])
  })

  test('keeps the newest 512 events at least and 1,024 at most, whatever comes', () => {
    const { tail } = newTail()
    const kept: number[] = []
    for (let seq = 1; seq <= 10_000; seq++) {
      tail.offer([event(seq)])
      let floor = seq
      if (seq % 100 === 0) {
        while (floor > 0 && tail.read(floor - 1)) floor--
        if (seq >= 512) kept.push(seq - floor)
      }
    }
    expect(Math.min(...kept)).toBeGreaterThanOrEqual(512)
    expect(Math.max(...kept)).toBeLessThan(1024)
    expect(seqs(tail.read(9_998))).toEqual([9_999, 10_000])
  })

  test('takes no event twice', () => {
    const { tail } = newTail()
    tail.offer([event(1), event(1), event(2)])
    tail.offer([event(2), event(1), event(3)])
    expect(seqs(tail.read(0))).toEqual([1, 2, 3])
  })

  test('reads what it missed from the database, and joins on', async () => {
    const { tail, stored } = newTail()
    stored.last = 5
    tail.offer([event(5)])
    await woken(tail, () => tail.lastSeq === 5)
    tail.offer([event(3), event(6)])
    expect(seqs(tail.read(0))).toEqual([1, 2, 3, 4, 5, 6])
    expect(stored.reads).toBe(1)
  })

  test('reads thousands that it missed in batches', async () => {
    const { tail, stored } = newTail()
    stored.last = 2_500
    tail.catchUp(2_500)
    await woken(tail, () => tail.lastSeq === 2_500)
    expect(seqs(tail.read(2_498))).toEqual([2_499, 2_500])
    expect(stored.reads).toBe(3)
  })

  test('goes on after the database was away', async () => {
    const { tail, stored } = newTail()
    stored.last = 3
    stored.fails = true
    tail.catchUp(3)
    await new Promise((resolve) => setImmediate(resolve))
    expect([tail.lastSeq, stored.reads]).toEqual([0, 1])
    stored.fails = false
    tail.catchUp(3)
    await woken(tail, () => tail.lastSeq === 3)
    expect(seqs(tail.read(0))).toEqual([1, 2, 3])
  })

  test('reads again where it heard of more during a read that found nothing yet', async () => {
    const answers: PromiseWithResolvers<SessionEvent[]>[] = []
    const tail = new Tail(sessionId, () => {
      const answer = Promise.withResolvers<SessionEvent[]>()
      answers.push(answer)
      return answer.promise
    })
    tail.open(1, 4)
    tail.offer([event(6)])
    tail.offer([event(5), event(6)])
    tail.offer([event(8)])
    answers[0]!.resolve([event(5), event(6)])
    await new Promise((resolve) => setImmediate(resolve))
    expect(answers).toHaveLength(2)
    answers[1]!.resolve([event(7), event(8)])
    await woken(tail, () => tail.lastSeq === 8)
    expect(seqs(tail.read(4))).toEqual([5, 6, 7, 8])
  })

  test('remembers what it heard before it was open', async () => {
    const stored = { last: 4 }
    const tail = new Tail(sessionId, async (after) => range(after + 1, stored.last))
    tail.offer([event(3), event(4)])
    tail.open(1, 2)
    await woken(tail, () => tail.lastSeq === 4)
    expect(seqs(tail.read(2))).toEqual([3, 4])
  })
})

describe('merging deltas', () => {
  const delta = (seq: number, messageId: string, offset: number, text: string): SessionEvent =>
    deltaEvent(sessionId, seq, messageId, offset, text)

  test('joins neighbours of one message, with the last seq and the first offset', () => {
    expect(mergeDeltas([delta(1, 'a', 0, 'x'), delta(2, 'a', 1, 'yz'), delta(3, 'a', 3, '!')])).toEqual([
      { ...delta(3, 'a', 0, 'xyz!') },
    ])
  })

  test('joins nothing over another message, another event, or a hole in the text', () => {
    const events = [
      delta(1, 'a', 0, 'x'),
      delta(2, 'b', 0, 'x'),
      delta(3, 'a', 1, 'x'),
      event(4),
      delta(5, 'a', 2, 'x'),
      delta(6, 'a', 4, 'x'),
    ]
    expect(mergeDeltas(events)).toEqual(events)
    expect(mergeDeltas([])).toEqual([])
  })

  test('leaves the events themselves as they are, since others read them too', () => {
    const events = [delta(1, 'a', 0, 'x'), delta(2, 'a', 1, 'y')]
    mergeDeltas(events)
    expect(events).toEqual([delta(1, 'a', 0, 'x'), delta(2, 'a', 1, 'y')])
  })
})
