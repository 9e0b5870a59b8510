import { beforeEach, describe, expect, test } from 'vitest'
import {
  clock,
  create,
  createAnew,
  error,
  fails,
  finish,
  hangs,
  limits,
  resilience,
  run,
  scripted,
  succeeds,
  text,
} from './scripted.ts'

beforeEach(createAnew)

describe('retry', () => {
  test('repeats a failed call with full jitter, and counts the attempts', async () => {
    const provider = scripted('a', fails(error('one')), fails(error('two')), succeeds('Yes'))
    const answer = run([provider])
    const start = clock.now()
    await clock.advance(10_000)
    expect(answer).toMatchObject({ isSettled: true, failure: undefined, attempts: ['1 a', '2 a', '3 a'] })
    expect(answer.words()).toBe('Yes')
    // random() is 0.5: half of 500 ms, then half of 1,000 ms.
    expect(provider.called).toEqual([
      { at: start, model: 'a-model' },
      { at: start + 250, model: 'a-model' },
      { at: start + 750, model: 'a-model' },
    ])
  })

  test('gives up after the configured attempts with the last failure', async () => {
    const provider = scripted('a', fails(error('one')), fails(error('two')), fails(error('three')))
    const answer = run([provider])
    await clock.advance(60_000)
    expect(answer.failure).toMatchObject({ message: 'three' })
    expect(provider.called).toHaveLength(3)
  })

  test('never happens after the first text reached the sink', async () => {
    const provider = scripted('a', fails(error('broken'), text('Ye')), succeeds('No'))
    const answer = run([provider, scripted('b', succeeds('No'))])
    await clock.advance(60_000)
    expect(answer).toMatchObject({ failure: { message: 'broken' }, attempts: ['1 a'] })
    expect(answer.words()).toBe('Ye')
  })

  test('happens though reasoning came before the failure', async () => {
    const provider = scripted('a', fails(error('broken'), { type: 'reasoning', text: 'Hm' }), succeeds('Yes'))
    const answer = run([provider])
    await clock.advance(60_000)
    expect(answer).toMatchObject({ failure: undefined, attempts: ['1 a', '2 a'] })
  })

  test('waits for a model that is loading, without counting attempts, until its first token is due', async () => {
    const loading = Array.from({ length: 20 }, () => fails(error('loading', { isLoading: true })))
    const answer = run([scripted('a', ...loading, succeeds('Yes'))])
    await clock.advance(20_000)
    expect(answer).toMatchObject({ isSettled: true, failure: undefined, attempts: ['1 a'] })

    const never = run([scripted('b', fails(error('loading', { isLoading: true })))])
    await clock.advance(59_000)
    expect(never.isSettled).toBe(false)
    await clock.advance(20_000)
    expect(never).toMatchObject({ isSettled: true, failure: { message: 'loading' } })
    expect(resilience.health('b').failuresInARow).toBe(0)
  })

  test('is not tried for a failure that would come again', async () => {
    const provider = scripted('a', fails(error('wrong key', { retryable: false })))
    const answer = run([provider])
    await clock.advance(0)
    expect(answer).toMatchObject({ failure: { message: 'wrong key' }, attempts: ['1 a'] })
  })

  test('waits at least as long as Retry-After says', async () => {
    const provider = scripted('a', fails(error('busy', { retryAfterMs: 12_000 })), succeeds('Yes'))
    const answer = run([provider])
    await clock.advance(11_999)
    expect(provider.called).toHaveLength(1)
    await clock.advance(1_000)
    expect(answer).toMatchObject({ isSettled: true, failure: undefined, attempts: ['1 a', '2 a'] })
  })

  test('is given up at once where Retry-After is longer than 30 seconds', async () => {
    const answer = run([scripted('a', fails(error('busy', { retryAfterMs: 30_001 })))])
    await clock.advance(0)
    expect(answer).toMatchObject({ isSettled: true, failure: { message: 'busy' }, attempts: ['1 a'] })
  })

  test('is given up at once where the whole answer has no time left for it', async () => {
    create({ limits: { ...limits, totalMs: 10_000 } })
    const answer = run([scripted('a', fails(error('busy', { retryAfterMs: 10_000 })))])
    await clock.advance(0)
    expect(answer).toMatchObject({ isSettled: true, failure: { message: 'busy' }, attempts: ['1 a'] })
  })

  test('ends with the reason of an abort while it waits', async () => {
    const controller = new AbortController()
    const answer = run([scripted('a', fails(error('one')), succeeds('No'))], controller.signal)
    await clock.advance(100)
    controller.abort(new Error('Enough.'))
    await answer.done
    expect(answer).toMatchObject({ failure: { message: 'Enough.' }, attempts: ['1 a'] })
    expect(clock.pending).toBe(0)
  })
})

describe('fallback', () => {
  test('goes on to the next candidate, with its model, and counts on', async () => {
    const second = scripted('b', succeeds('Yes'))
    const answer = run([scripted('a', fails(error('no', { retryable: false }))), second])
    await answer.done
    expect(answer).toMatchObject({ failure: undefined, attempts: ['1 a', '2 b'] })
    expect(second.called).toMatchObject([{ model: 'b-model' }])
  })

  test('tells of the model that was asked for where all fail', async () => {
    const no = (message: string) => fails(error(message, { retryable: false }))
    const answer = run([scripted('a', no('first')), scripted('b', no('second'))])
    await answer.done
    expect(answer.failure).toMatchObject({ message: 'first' })
  })

  test('leaves alone what the sink throws', async () => {
    const second = scripted('b', succeeds('No'))
    const call = resilience.stream(
      [scripted('a', succeeds('Yes')), second].map((provider) => ({ provider, model: 'm' })),
      { messages: [] },
      {
        sink: () => {
          throw new RangeError('The disk is full.')
        },
        signal: new AbortController().signal,
      },
    )
    await expect(call).rejects.toThrow(RangeError)
    expect(second.called).toHaveLength(0)
    expect(resilience.health('a').failuresInARow).toBe(0)
  })
})

describe('a limit', () => {
  const timeoutOf = (answer: { failure: unknown }, setting: string) =>
    expect(answer.failure).toMatchObject({ code: 'PROVIDER_TIMEOUT', message: expect.stringContaining(setting) })

  beforeEach(() => create({ attempts: 1 }))

  test('ends a call that sends no first token', async () => {
    const answer = run([scripted('a', hangs())])
    await clock.advance(59_999)
    expect(answer.isSettled).toBe(false)
    await clock.advance(1)
    timeoutOf(answer, 'PROVIDER_FIRST_TOKEN_TIMEOUT_MS')
  })

  test('ends a call that falls silent, with what had come', async () => {
    const tokens = [20_000, 45_000].map((afterMs) => ({ afterMs, part: text('x') }))
    const answer = run([scripted('a', hangs(tokens))])
    await clock.advance(74_999)
    expect(answer.isSettled).toBe(false)
    await clock.advance(1)
    timeoutOf(answer, 'PROVIDER_SILENCE_TIMEOUT_MS')
    expect(answer.words()).toBe('xx')
  })

  test('takes reasoning for a sign of life', async () => {
    const thoughts = [50_000, 75_000].map((afterMs) => ({ afterMs, part: { type: 'reasoning', text: 'Hm' } as const }))
    const answer = run([scripted('a', hangs(thoughts))])
    await clock.advance(104_999)
    expect(answer.isSettled).toBe(false)
    await clock.advance(1)
    timeoutOf(answer, 'PROVIDER_SILENCE_TIMEOUT_MS')
  })

  test('ends a whole answer that never comes to an end', async () => {
    const tokens = Array.from({ length: 100 }, (_, n) => ({ afterMs: n * 10_000, part: text('x') }))
    const answer = run([scripted('a', hangs(tokens)), scripted('b', succeeds('No'))])
    await clock.advance(599_999)
    expect(answer.isSettled).toBe(false)
    await clock.advance(1)
    timeoutOf(answer, 'PROVIDER_TOTAL_TIMEOUT_MS')
    expect(answer).toMatchObject({ attempts: ['1 a'] })
  })

  test('of the whole holds over retries and fallbacks', async () => {
    create({ attempts: 100, limits: { ...limits, totalMs: 100_000 }, breakerFailures: 1_000 })
    const answer = run([scripted('a', hangs()), scripted('b', succeeds('No'))])
    await clock.advance(100_000)
    expect(answer).toMatchObject({ isSettled: true, attempts: ['1 a', '2 a'] })
    expect(answer.failure).toMatchObject({ code: 'PROVIDER_TIMEOUT' })
  })

  test('to the first token is followed by another attempt', async () => {
    create({ attempts: 2 })
    const answer = run([scripted('a', hangs(), succeeds('Yes'))])
    await clock.advance(61_000)
    expect(answer).toMatchObject({ failure: undefined, attempts: ['1 a', '2 a'] })
  })

  test('has one timer, however many tokens come, and none afterwards', async () => {
    const pending: number[] = []
    const provider = scripted('a', (sink) => {
      for (let n = 0; n < 1_000; n++) {
        sink(text('x'))
        pending.push(clock.pending)
      }
      sink(finish)
      return Promise.resolve()
    })
    const answer = run([provider])
    await answer.done
    expect(new Set(pending)).toEqual(new Set([1]))
    expect(clock.pending).toBe(0)
  })

  test('does not hold after the finish part, which the provider bounds itself', async () => {
    const answer = run([
      scripted('a', (sink, signal) => {
        sink(text('Yes'))
        sink(finish)
        return new Promise((resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error))
          clock.after(40_000, resolve)
        })
      }),
    ])
    await clock.advance(40_000)
    expect(answer).toMatchObject({ isSettled: true, failure: undefined })
  })
})

test('an abort rejects with its reason and lets no later part through', async () => {
  const controller = new AbortController()
  const answer = run(
    [
      scripted('a', (sink, signal) => {
        sink(text('Ye'))
        return new Promise((_, reject) =>
          signal.addEventListener('abort', () => {
            sink(text('late'))
            reject(new Error('my own account of it'))
          }),
        )
      }),
    ],
    controller.signal,
  )
  await clock.advance(5)
  controller.abort(new Error('Enough.'))
  await answer.done
  expect(answer.failure).toMatchObject({ message: 'Enough.' })
  expect(answer.words()).toBe('Ye')
})

test('an abort by the sink rejects with its reason, though the provider had sent everything', async () => {
  const controller = new AbortController()
  const reason = new Error('Enough.')
  const call = resilience.stream(
    [{ provider: scripted('a', succeeds('Ye', 's')), model: 'm' }],
    { messages: [] },
    { sink: () => controller.abort(reason), signal: controller.signal },
  )
  await expect(call).rejects.toBe(reason)
})

test('a provider that resolves without a finish part has failed', async () => {
  const answer = run([
    scripted('a', (sink) => {
      sink(text('Ye'))
      return Promise.resolve()
    }),
  ])
  await answer.done
  expect(answer.failure).toMatchObject({ code: 'PROVIDER_ERROR' })
})
