import {
  createCircuitBreaker,
  type BreakerState,
  type CircuitBreaker,
  type Outcome,
  type Permit,
} from './circuitBreaker.ts'
import { sleep, systemClock, type Clock } from './clock.ts'
import { ProviderError, type ChatRequest, type Part, type Provider } from './provider.ts'
import { createWatchdog, type CallLimits } from './watchdog.ts'

export interface Candidate {
  provider: Provider
  /** The provider's own name of the model. */
  model: string
}

export interface StreamOptions<C extends Candidate = Candidate> {
  /**
   * Takes every part, in order. Text comes from one attempt only; reasoning and usage of an attempt that was given up
   * may precede the next `onAttempt` and are void then. What it throws ends the call and is thrown on.
   */
  sink: (part: Part) => void
  /** Aborting it rejects with its reason, once the provider's connection is closed. */
  signal: AbortSignal
  /** Before every call: its number from 1 on, over retries and fallbacks, and whom it calls. */
  onAttempt?: (attempt: number, candidate: C) => void
}

export interface ResilienceOptions {
  limits: CallLimits
  /** Calls of one candidate before it is given up. */
  attempts: number
  /** Failed answers in a row that open the circuit breaker of a model; 5 by default. */
  breakerFailures?: number
  /** Milliseconds before an open breaker lets a trial call pass; 30,000 by default. */
  breakerCooldownMs?: number
  clock?: Clock
  /** From 0 to below 1; spreads the retries. */
  random?: () => number
  /** Is told of each call once it is over. */
  onCall?: (call: FinishedCall) => void
}

export interface FinishedCall {
  provider: string
  /** OK, ABORTED or an error code. */
  code: string
  ms: number
  /** Milliseconds to the first text; null where there was none. */
  firstTokenMs: number | null
}

export interface Resilience {
  /**
   * Calls the candidates in turn until one answers. A failed call is repeated, and the next candidate tried, only before
   * the first text reached the sink: what someone may have seen is never answered twice.
   * Resolves after the finish part; rejects with the first candidate's `ProviderError`, which is about the model that
   * was asked for, or with the signal's reason.
   */
  stream<C extends Candidate>(
    candidates: readonly C[],
    request: Omit<ChatRequest, 'model'>,
    options: StreamOptions<C>,
  ): Promise<void>
  /** How the answers of a provider's models went. */
  health(provider: string): BreakerState
}

const backoffBaseMs = 500
const backoffMaxMs = 8_000
const maxRetryAfterMs = 30_000
/** Between two questions whether a model has been loaded. */
const loadingPauseMs = 1_000
/** Of one provider. */
const maxBreakers = 1_000

/** One `stream` with all its retries and fallbacks. */
interface Run {
  deadline: number
  attempt: number
  /** Text reached the sink, or the answer is complete without any: from here on nothing is repeated. */
  hasBegun: boolean
}

/** Timeouts, retries with full jitter, fallback and a circuit breaker around any provider. */
export function createResilience(options: ResilienceOptions): Resilience {
  const { limits, attempts, clock = systemClock, random = Math.random, onCall } = options
  const breakers = new Map<string, Map<string, CircuitBreaker>>()

  const breakerOf = (provider: string, model: string): CircuitBreaker => {
    let ofModels = breakers.get(provider)
    if (!ofModels) breakers.set(provider, (ofModels = new Map<string, CircuitBreaker>()))
    let breaker = ofModels.get(model)
    if (!breaker) {
      // users name models freely: the oldest is forgotten
      if (ofModels.size >= maxBreakers) ofModels.delete(ofModels.keys().next().value!)
      const { breakerFailures = 5, breakerCooldownMs = 30_000 } = options
      breaker = createCircuitBreaker({ clock, failures: breakerFailures, cooldownMs: breakerCooldownMs })
      ofModels.set(model, breaker)
    }
    return breaker
  }

  /** One call, held to the limits. */
  async function call(
    { provider, model }: Candidate,
    request: Omit<ChatRequest, 'model'>,
    { sink, signal }: Pick<StreamOptions, 'sink' | 'signal'>,
    run: Run,
  ): Promise<void> {
    const controller = new AbortController()
    const onAbort = () => controller.abort(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    const watchdog = createWatchdog({ clock, provider: provider.name, limits, deadline: run.deadline }, (error) =>
      controller.abort(error),
    )
    let isFinished = false
    const take = (part: Part) => {
      if (controller.signal.aborted) return
      watchdog.alive()
      if (part.type === 'text') run.hasBegun = true
      if (part.type === 'finish') {
        run.hasBegun = true
        isFinished = true
        watchdog.stop()
      }
      sink(part)
    }
    try {
      await provider.stream({ ...request, model }, take, controller.signal)
    } catch (error) {
      throw controller.signal.aborted ? controller.signal.reason : error
    } finally {
      watchdog.stop()
      signal.removeEventListener('abort', onAbort)
    }
    if (!isFinished) {
      controller.signal.throwIfAborted()
      const message = `The answer of ${provider.name} ended in the middle. Send the message again, or choose another model.`
      throw new ProviderError('PROVIDER_ERROR', message, { retryable: true })
    }
  }

  /** Milliseconds before the next call of the same candidate; undefined where it is not worth waiting for. */
  function delay(error: ProviderError, tries: number, run: Run): number | undefined {
    if (!error.retryable || run.hasBegun || tries >= attempts) return undefined
    const retryAfterMs = error.retryAfterMs ?? 0
    if (retryAfterMs > maxRetryAfterMs) return undefined
    // Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    const jitter = random() * Math.min(backoffMaxMs, backoffBaseMs * 2 ** (tries - 1))
    const wait = retryAfterMs + jitter
    return clock.now() + wait < run.deadline ? wait : undefined
  }

  /** One candidate, called until it answers or is given up. */
  async function answer<C extends Candidate>(
    candidate: C,
    request: Omit<ChatRequest, 'model'>,
    { sink, signal, onAttempt }: StreamOptions<C>,
    run: Run,
  ): Promise<void> {
    const { provider } = candidate
    signal.throwIfAborted()
    const breaker = breakerOf(provider.name, candidate.model)
    // one for all attempts: the breaker counts answers, so that one user's retries don't refuse another's answer
    const permit = breaker.enter()
    if (!permit) throw openBreaker(`${provider.name}/${candidate.model}`, breaker.state())
    const isTrial = breaker.state().isOpen
    const loadedBy = clock.now() + limits.firstTokenMs
    try {
      await attempt(permit, isTrial, loadedBy)
      permit.end('success')
    } catch (error) {
      permit.end(outcomeOf(error, run.hasBegun))
      throw error
    }

    async function attempt(permit: Permit, isTrial: boolean, loadedBy: number): Promise<void> {
      let isLoading = false
      for (let tries = 1; ; tries++) {
        signal.throwIfAborted()
        const startedAt = clock.now()
        let firstAt: number | undefined
        const takeAndTell = (part: Part) => {
          if (part.type === 'text') {
            permit.alive()
            firstAt ??= clock.now()
          }
          sink(part)
        }
        const tell = (code: string): void =>
          onCall?.({
            ...{ provider: provider.name, code, ms: clock.now() - startedAt },
            firstTokenMs: firstAt === undefined ? null : firstAt - startedAt,
          })
        try {
          if (!isLoading) onAttempt?.(++run.attempt, candidate)
          await call(candidate, request, { sink: takeAndTell, signal }, run)
          tell('OK')
          return
        } catch (error) {
          tell(error instanceof ProviderError ? error.code : 'ABORTED')
          if (!(error instanceof ProviderError)) throw error
          isLoading = error.isLoading && clock.now() + loadingPauseMs < Math.min(loadedBy, run.deadline)
          if (isLoading) tries--
          const wait = isLoading ? loadingPauseMs : isTrial ? undefined : delay(error, tries, run)
          if (wait === undefined) throw error
          await sleep(clock, wait, signal)
        }
      }
    }
  }

  return {
    async stream(candidates, request, streamOptions) {
      const run: Run = { deadline: clock.now() + limits.totalMs, attempt: 0, hasBegun: false }
      let firstError: ProviderError | undefined
      for (const candidate of candidates) {
        try {
          return await answer(candidate, request, streamOptions, run)
        } catch (error) {
          if (!(error instanceof ProviderError) || run.hasBegun) throw error
          firstError ??= error
          if (clock.now() >= run.deadline) break
        }
      }
      throw firstError ?? new Error('There is no candidate to call.')
    },
    health: (provider) => together([...(breakers.get(provider)?.values() ?? [])].map((breaker) => breaker.state())),
  }
}

/** A provider is open only where each of its models that was asked is. */
function together(states: BreakerState[]): BreakerState {
  const latest = (times: (number | undefined)[]): number | undefined =>
    times.reduce((one, other) => (one === undefined || (other ?? -Infinity) > one ? other : one), undefined)
  return {
    isOpen: states.length > 0 && states.every(({ isOpen }) => isOpen),
    retryAfterMs: states.length > 0 ? Math.min(...states.map(({ retryAfterMs }) => retryAfterMs)) : 0,
    failuresInARow: Math.max(0, ...states.map(({ failuresInARow }) => failuresInARow)),
    lastSuccessAt: latest(states.map(({ lastSuccessAt }) => lastSuccessAt)),
    lastFailureAt: latest(states.map(({ lastFailureAt }) => lastFailureAt)),
  }
}

/**
 * What counts against a model: it could not be reached, timed out, or answered 408, 429 or 5xx, before anything came. A
 * refusal that a repetition would meet again (a wrong key, a long prompt) shows a provider that is up.
 */
function outcomeOf(error: unknown, hasBegun: boolean): Outcome {
  if (!(error instanceof ProviderError)) return 'unknown'
  if (!error.retryable) return error.code === 'PROVIDER_TIMEOUT' ? 'unknown' : 'success'
  if (hasBegun || error.isLoading) return 'unknown'
  return error.isOutage || error.code === 'PROVIDER_TIMEOUT' ? 'failure' : 'unknown'
}

function openBreaker(model: string, { failuresInARow, retryAfterMs }: BreakerState): ProviderError {
  const when = retryAfterMs > 0 ? `in ${Math.ceil(retryAfterMs / 1000)} s` : 'in a moment'
  const message = `${model} could not answer ${failuresInARow} times in a row. Try again ${when}, or choose another model.`
  return new ProviderError('PROVIDER_UNAVAILABLE', message, { retryable: true, retryAfterMs })
}
