import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { onSignals } from '../../server/signals.ts'

// none that anybody else listens to
const [one, other] = ['SIGUSR2', 'SIGWINCH'] as const
const say = (signal: NodeJS.Signals) => process.emit(signal, signal)

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }))
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllEnvs()
  for (const signal of [one, other]) process.removeAllListeners(signal)
})

function count(npmScript: string | undefined): () => number {
  vi.stubEnv('npm_lifecycle_event', npmScript)
  let heard = 0
  onSignals([one, other], () => heard++)
  return () => heard
}

test('what npm passes on of a signal that came by itself too is no second one, and a later one is', () => {
  const heard = count('start')
  say(one)
  say(one)
  vi.advanceTimersByTime(100)
  say(other)
  expect(heard()).toBe(1)
  vi.advanceTimersByTime(500)
  say(one)
  expect(heard()).toBe(2)
})

test('without npm each signal counts', () => {
  const heard = count(undefined)
  say(one)
  say(one)
  say(other)
  expect(heard()).toBe(3)
})
