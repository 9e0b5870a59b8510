import { ProviderError, type ProviderErrorOptions, type Part, type Provider } from '../../server/providers/provider.ts'
import { createResilience, type Resilience, type ResilienceOptions } from '../../server/providers/resilience.ts'
import { manualClock, type ManualClock } from '../support/manualClock.ts'

export type Call = (sink: (part: Part) => void, signal: AbortSignal) => Promise<void>

/** Of the test that runs. */
export let clock: ManualClock
export let resilience: Resilience

export const limits = { firstTokenMs: 60_000, silenceMs: 30_000, totalMs: 600_000 }

export const create = (options: Partial<ResilienceOptions> = {}) => {
  resilience = createResilience({ limits, attempts: 3, clock, random: () => 0.5, ...options })
}

/** A clock and a resilience of a test's own. */
export function createAnew(): void {
  clock = manualClock()
  create()
}

/** A provider whose calls go as listed, the last one for ever. */
export function scripted(
  name: string,
  ...calls: Call[]
): Provider & { models: () => Promise<[]>; called: { at: number; model: string }[] } {
  const called: { at: number; model: string }[] = []
  return {
    name,
    called,
    models: () => Promise.resolve([]),
    stream(request, sink, signal) {
      const call = calls[Math.min(called.length, calls.length - 1)]!
      called.push({ at: clock.now(), model: request.model })
      return call(sink, signal)
    },
  }
}

export const text = (value: string): Part => ({ type: 'text', text: value })
export const finish: Part = { type: 'finish', reason: 'stop' }

export const succeeds =
  (...words: string[]): Call =>
  (sink) => {
    for (const word of words) sink(text(word))
    sink(finish)
    return Promise.resolve()
  }

export const fails =
  (error: ProviderError, ...before: Part[]): Call =>
  (sink) => {
    for (const part of before) sink(part)
    return Promise.reject(error)
  }

/** Sends a part at each of the times, then hangs until it is aborted. */
export const hangs =
  (parts: { afterMs: number; part: Part }[] = []): Call =>
  (sink, signal) => {
    for (const { afterMs, part } of parts) clock.after(afterMs, () => sink(part))
    return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
  }

export const error = (message: string, options: Partial<ProviderErrorOptions> = {}) =>
  new ProviderError('PROVIDER_ERROR', message, { retryable: true, isOutage: true, ...options })

export function run(providers: Provider[], signal = new AbortController().signal) {
  const parts: Part[] = []
  const attempts: string[] = []
  const result = { parts, attempts, isSettled: false, failure: undefined as unknown, settledAt: NaN }
  const settle = (failure?: unknown) => Object.assign(result, { isSettled: true, failure, settledAt: clock.now() })
  const done = resilience
    .stream(
      providers.map((provider) => ({ provider, model: `${provider.name}-model` })),
      { messages: [] },
      {
        sink: (part) => parts.push(part),
        signal,
        onAttempt: (attempt, { provider }) => attempts.push(`${attempt} ${provider.name}`),
      },
    )
    .then(() => settle(), settle)
  return Object.assign(result, {
    done,
    words: () => parts.map((part) => (part.type === 'text' ? part.text : '')).join(''),
  })
}
