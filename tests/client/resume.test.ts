import { GraphQLError } from 'graphql'
import type { ExecutionResult, Sink } from 'graphql-ws'
import { describe, expect, test, vi } from 'vitest'
import { fullJitter } from '../../client/library/backoff.ts'
import { follow, type FollowRequest } from '../../client/library/resume.ts'

const event = (seq: number | null, rest = {}): ExecutionResult => ({
  data: { sessionEvents: { __typename: 'MessageDelta', seq, ...rest } },
})

/** A server's side of `follow`: what was asked, and sinks to answer with. */
function followed(after: number | null = 5) {
  const asked: { request: FollowRequest; sink: Sink<ExecutionResult>; stop: () => void }[] = []
  const waits: number[] = []
  let release = () => {}
  const sink = {
    next: vi.fn<(result: ExecutionResult) => void>(),
    error: vi.fn<(error: unknown) => void>(),
    complete: vi.fn<() => void>(),
  }
  const stop = follow(
    (request, answer) => {
      const ask = { request, sink: answer, stop: vi.fn<() => void>() }
      asked.push(ask)
      return ask.stop
    },
    { query: 'subscription', variables: { sessionId: 's', after } },
    sink,
    {
      wait(failures) {
        waits.push(failures)
        return new Promise((resolve) => (release = resolve))
      },
    },
  )
  return {
    asked,
    waits,
    sink,
    stop,
    seqs: () =>
      sink.next.mock.calls.map(([{ data }]) => (data?.sessionEvents as { seq: number | null } | undefined)?.seq),
    /** What a socket would carry now for the newest request. */
    sent: () => JSON.parse(JSON.stringify(asked.at(-1)!.request.variables)),
    async release() {
      release()
      await Promise.resolve()
      await Promise.resolve()
    },
  }
}

describe('following a session', () => {
  test('asks again from the last seq that was seen, also where the socket resends the same request', () => {
    const { asked, sent } = followed(5)
    expect(sent()).toEqual({ sessionId: 's', after: 5 })
    asked[0]!.sink.next(event(6))
    asked[0]!.sink.next(event(9))
    expect(sent()).toEqual({ sessionId: 's', after: 9 })
    expect(asked).toHaveLength(1)
  })

  test('drops events that it has seen and keeps those without a seq', () => {
    const { asked, seqs } = followed(5)
    for (const seq of [6, 7, 6, 7, null, 8, 5]) asked[0]!.sink.next(event(seq))
    expect(seqs()).toEqual([6, 7, null, 8])
  })

  test('begins with live events where no position was given, and resumes from the first', () => {
    const { asked, sent } = followed(null)
    expect(sent()).toEqual({ sessionId: 's' })
    asked[0]!.sink.next(event(41))
    expect(sent()).toEqual({ sessionId: 's', after: 41 })
  })

  for (const [name, end] of Object.entries<(sink: Sink<ExecutionResult>) => void>({
    'the server completes it': (sink) => sink.complete(),
    'the socket is closed for good, as by 1011 and 4500': (sink) => sink.error({ code: 1011, reason: '' }),
    'the server answers with an error that may pass': (sink) => sink.error([new GraphQLError('busy')]),
    'an answer carries such an error': (sink) => sink.next({ errors: [new GraphQLError('busy')] }),
  })) {
    test(`subscribes again after a wait when ${name}`, async () => {
      const { asked, waits, sent, sink, release } = followed(5)
      asked[0]!.sink.next(event(6))
      end(asked[0]!.sink)
      expect(waits).toEqual([0])
      expect(asked).toHaveLength(1)
      await release()
      expect(asked).toHaveLength(2)
      expect(sent().after).toBe(6)
      expect(sink.complete).not.toHaveBeenCalled()
      expect(sink.error).not.toHaveBeenCalled()
    })
  }

  test('waits longer after every failure, and shortly again once an event came', async () => {
    const { asked, waits, release } = followed()
    for (let failure = 0; failure < 4; failure++) {
      asked.at(-1)!.sink.complete()
      await release()
    }
    asked.at(-1)!.sink.next(event(6))
    asked.at(-1)!.sink.complete()
    expect(waits).toEqual([0, 1, 2, 3, 0])
  })

  describe('an event that could not be shown', () => {
    const notShown = (data: ExecutionResult['data'], code = 'INTERNAL'): ExecutionResult => ({
      data,
      errors: [new GraphQLError('no', { extensions: { code } })],
    })

    test('is passed on, and the subscription goes on with the next, whatever its code', () => {
      const { asked, waits, sink } = followed(5)
      for (const result of [notShown(null), notShown(null, 'NOT_FOUND'), event(8)]) asked[0]!.sink.next(result)
      expect(sink.next.mock.calls.map(([{ data }]) => data)).toEqual([null, null, event(8).data])
      expect(sink.error).not.toHaveBeenCalled()
      expect(waits).toEqual([])
      expect(asked).toHaveLength(1)
    })

    test('moves the position on where its seq is known, and else leaves it to the next one', () => {
      const { asked, sent, seqs } = followed(5)
      asked[0]!.sink.next(notShown({ sessionEvents: { __typename: 'MessageUpdated', seq: 6, message: null } }))
      expect(sent().after).toBe(6)
      asked[0]!.sink.next(notShown(null))
      expect(sent().after).toBe(6)
      asked[0]!.sink.next(event(6))
      asked[0]!.sink.next(event(8))
      expect(sent().after).toBe(8)
      expect(seqs().filter((seq) => seq !== undefined)).toEqual([6, 8])
    })

    test('does not shorten the waits of a server that shows nothing', async () => {
      const { asked, waits, release } = followed(5)
      for (let failure = 0; failure < 3; failure++) {
        asked.at(-1)!.sink.next(notShown(null))
        asked.at(-1)!.sink.complete()
        await release()
      }
      expect(waits).toEqual([0, 1, 2])
    })
  })

  for (const code of ['UNAUTHENTICATED', 'FORBIDDEN', 'NOT_FOUND']) {
    test(`ends with the error when it is ${code}`, () => {
      const { asked, waits, sink } = followed()
      const errors = [new GraphQLError('no', { extensions: { code } })]
      asked[0]!.sink.error(errors)
      expect(sink.error).toHaveBeenCalledExactlyOnceWith(errors)
      expect(waits).toEqual([])
    })

    test(`ends with the error when a result without data says ${code}`, () => {
      const { asked, waits, sink } = followed()
      const errors = [new GraphQLError('no', { extensions: { code } })]
      asked[0]!.sink.next({ errors })
      asked[0]!.sink.complete()
      expect(sink.error).toHaveBeenCalledExactlyOnceWith(errors)
      expect(waits).toEqual([])
    })
  }

  test('ends after SessionDeleted', () => {
    const { asked, waits, sink } = followed()
    asked[0]!.sink.next(event(null, { __typename: 'SessionDeleted' }))
    asked[0]!.sink.complete()
    expect(sink.complete).toHaveBeenCalledOnce()
    expect(waits).toEqual([])
  })

  test('goes on from the lastSeq of a Resync', () => {
    const { asked, sent } = followed(5)
    asked[0]!.sink.next(event(null, { __typename: 'Resync', lastSeq: 900 }))
    expect(sent().after).toBe(900)
  })

  test('hears nothing from an attempt that it has given up', async () => {
    const { asked, seqs, release } = followed(5)
    asked[0]!.sink.complete()
    await release()
    asked[0]!.sink.next(event(6))
    asked[1]!.sink.next(event(6))
    asked[0]!.sink.error([new GraphQLError('late', { extensions: { code: 'FORBIDDEN' } })])
    asked[1]!.sink.next(event(7))
    expect(seqs()).toEqual([6, 7])
  })

  test('is silent once stopped, also while it waits', async () => {
    const { asked, sink, stop, release } = followed()
    asked[0]!.sink.complete()
    stop()
    await release()
    expect(asked).toHaveLength(1)
    expect(sink.complete).not.toHaveBeenCalled()
  })

  test('ends the subscription when stopped', () => {
    const { asked, stop } = followed()
    stop()
    expect(asked[0]!.stop).toHaveBeenCalledOnce()
  })
})

test('full jitter spreads from nothing to a doubling bound, and the bound ends at 20 seconds', () => {
  const bounds = [0, 1, 2, 5, 6, 100].map((failures) => fullJitter(failures, { random: () => 1 }))
  expect(bounds).toEqual([500, 1_000, 2_000, 16_000, 20_000, 20_000])
  expect(fullJitter(6, { random: () => 0 })).toBe(0)
})
