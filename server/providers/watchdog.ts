import type { Clock } from './clock.ts'
import { ProviderError } from './provider.ts'

/** Limits of one call, in milliseconds. */
export interface CallLimits {
  firstTokenMs: number
  silenceMs: number
  totalMs: number
}

export interface Watchdog {
  /** Something came. Costs a comparison and a timestamp, so that it can be told of every token. */
  alive(): void
  stop(): void
}

/**
 * Watches one call with one timer, which looks how long ago the last token came and is set again for the rest.
 * @param deadline by the clock, when the whole answer has to be there: it holds over retries and fallbacks
 * @param onTimeout called at most once
 */
export function createWatchdog(
  options: { clock: Clock; provider: string; limits: CallLimits; deadline: number },
  onTimeout: (error: ProviderError) => void,
): Watchdog {
  const { clock, provider, limits, deadline } = options
  const startedAt = clock.now()
  let lastAliveAt: number | undefined
  let cancel = () => {}

  const quietUntil = () =>
    lastAliveAt === undefined ? startedAt + limits.firstTokenMs : lastAliveAt + limits.silenceMs

  const check = () => {
    const left = Math.min(quietUntil(), deadline) - clock.now()
    if (left > 0) cancel = clock.after(Math.ceil(left), check)
    else if (clock.now() >= deadline) onTimeout(totalTimeout(provider, limits))
    else onTimeout(lastAliveAt === undefined ? firstTokenTimeout(provider, limits) : silenceTimeout(provider, limits))
  }
  check()

  return {
    alive() {
      const isFirst = lastAliveAt === undefined
      lastAliveAt = clock.now()
      // The timer stands at the limit to the first token, which may lie far behind the next silence.
      if (isFirst) {
        cancel()
        check()
      }
    },
    stop: () => cancel(),
  }
}

const timeout = (message: string, retryable: boolean) => new ProviderError('PROVIDER_TIMEOUT', message, { retryable })

const firstTokenTimeout = (provider: string, { firstTokenMs }: CallLimits) =>
  timeout(
    `${provider} sent no first token within ${seconds(firstTokenMs)} (PROVIDER_FIRST_TOKEN_TIMEOUT_MS). Try again, or choose another model.`,
    true,
  )

const silenceTimeout = (provider: string, { silenceMs }: CallLimits) =>
  timeout(
    `${provider} fell silent for ${seconds(silenceMs)} in the middle of its answer (PROVIDER_SILENCE_TIMEOUT_MS). Try again, or choose another model.`,
    true,
  )

/** Not retryable: there is no time left, and a provider that was answering all along is not at fault. */
export const totalTimeout = (provider: string, { totalMs }: CallLimits) =>
  timeout(
    `${provider} did not finish its answer within ${seconds(totalMs)} (PROVIDER_TOTAL_TIMEOUT_MS). Ask for a shorter one, or choose a faster model.`,
    false,
  )

const seconds = (ms: number) => (ms < 1_000 ? `${ms} ms` : `${Math.round(ms / 100) / 10} s`)
