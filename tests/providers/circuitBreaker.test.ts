import { beforeEach, describe, expect, test } from 'vitest'
import type { Provider } from '../../server/providers/provider.ts'
import {
  clock,
  create,
  createAnew,
  error,
  fails,
  hangs,
  resilience,
  run,
  scripted,
  succeeds,
  text,
  type Call,
} from './scripted.ts'

beforeEach(createAnew)

describe('the circuit breaker', () => {
  const failing = () => scripted('a', fails(error('down')))

  async function open(provider: Provider) {
    create({ attempts: 1 })
    for (let n = 0; n < 5; n++) await run([provider]).done
  }

  test('opens after five failures in a row, over sessions, and then refuses without a call', async () => {
    const provider = failing()
    await open(provider)
    const answer = run([provider])
    await answer.done
    expect(answer).toMatchObject({ failure: { code: 'PROVIDER_UNAVAILABLE', retryAfterMs: 30_000 }, attempts: [] })
    expect(provider.called).toHaveLength(5)
    expect(resilience.health('a').isOpen).toBe(true)
  })

  test('lets a fallback of another provider answer at once', async () => {
    const provider = failing()
    await open(provider)
    const answer = run([provider, scripted('b', succeeds('Yes'))])
    await answer.done
    expect(answer).toMatchObject({ failure: undefined, attempts: ['1 b'] })
  })

  test('counts an answer once, however often it was attempted', async () => {
    create({ attempts: 3 })
    const provider = failing()
    for (let n = 0; n < 4; n++) {
      const answer = run([provider])
      await clock.advance(10_000)
      expect(answer).toMatchObject({ failure: { message: 'down' }, attempts: ['1 a', '2 a', '3 a'] })
    }
    expect(resilience.health('a')).toMatchObject({ isOpen: false, failuresInARow: 4 })
  })

  test('is of one model: the others of the provider go on', async () => {
    const provider = failing()
    await open(provider)
    const signal = new AbortController().signal
    const ask = (model: string) =>
      resilience.stream(
        [{ provider: scripted('a', succeeds('Yes')), model }],
        { messages: [] },
        { sink: () => {}, signal },
      )
    await expect(ask('a-model')).rejects.toMatchObject({ code: 'PROVIDER_UNAVAILABLE' })
    await expect(ask('other')).resolves.toBeUndefined()
    expect(resilience.health('a').isOpen).toBe(false)
  })

  test.each<[string, Call]>([
    ['garbage', fails(error('garbage', { isOutage: false }))],
    ['a failure inside a stream', fails(error('broken'), text('Ye'))],
  ])('never opens for %s', async (_, call) => {
    create({ attempts: 1 })
    const provider = scripted('a', call)
    for (let n = 0; n < 9; n++) await run([provider]).done
    expect(provider.called).toHaveLength(9)
    expect(resilience.health('a').isOpen).toBe(false)
  })

  test('lets one trial pass after 30 seconds, and closes when it succeeds', async () => {
    const calls = Array.from({ length: 5 }, () => fails(error('down')))
    const provider = scripted('a', ...calls, hangs([{ afterMs: 10, part: text('Yes') }]), succeeds('Yes'))
    await open(provider)
    await clock.advance(30_000)
    const trial = run([provider])
    const other = run([provider])
    await clock.advance(0)
    expect(other.failure).toMatchObject({ code: 'PROVIDER_UNAVAILABLE' })
    // Its first text is enough to let the others pass.
    await clock.advance(10)
    const third = run([provider])
    await third.done
    expect(third.failure).toBeUndefined()
    expect(trial.attempts).toEqual(['1 a'])
    await clock.advance(30_000)
    expect(trial.failure).toMatchObject({ code: 'PROVIDER_TIMEOUT' })
  })

  test('stays open for another 30 seconds when the trial fails', async () => {
    const provider = failing()
    await open(provider)
    await clock.advance(30_000)
    await run([provider]).done
    await clock.advance(29_999)
    const refused = run([provider])
    await refused.done
    expect(refused.attempts).toEqual([])
    expect(provider.called).toHaveLength(6)
  })

  test('is not kept open by calls that were under way when it opened', async () => {
    create({ attempts: 1 })
    const late: Call = () => new Promise((_, reject) => clock.after(20_000, () => reject(error('late'))))
    const down = Array.from({ length: 5 }, () => fails(error('down')))
    const provider = scripted('a', late, ...down, succeeds('Yes'))
    const underWay = run([provider])
    for (let n = 0; n < 5; n++) await run([provider]).done
    await clock.advance(30_000)
    expect(underWay.failure).toMatchObject({ message: 'late' })
    const trial = run([provider])
    await trial.done
    expect(trial).toMatchObject({ failure: undefined, attempts: ['1 a'] })
  })

  test('lets another trial pass when the first was stopped', async () => {
    const calls = Array.from({ length: 5 }, () => fails(error('down')))
    const provider = scripted('a', ...calls, hangs(), succeeds('Yes'))
    await open(provider)
    await clock.advance(30_000)
    const controller = new AbortController()
    const trial = run([provider], controller.signal)
    controller.abort(new Error('Enough.'))
    await trial.done
    const next = run([provider])
    await next.done
    expect(next.failure).toBeUndefined()
  })

  test.each<[string, Call]>([
    ['a success', succeeds('Yes')],
    ["a refusal that is not the provider's fault", fails(error('too long', { retryable: false }))],
  ])('counts anew after %s', async (_, between) => {
    create({ attempts: 1 })
    const down = () => fails(error('down'))
    const provider = scripted('a', down(), down(), down(), down(), between, down())
    for (let n = 0; n < 9; n++) await run([provider]).done
    expect(provider.called).toHaveLength(9)
    expect(resilience.health('a').isOpen).toBe(false)
  })
})
