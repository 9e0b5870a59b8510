import type { Clock } from './clock.ts'
import { ProviderError, type ModelInfo, type Provider } from './provider.ts'

/** What a provider offers, asked for as seldom as will do. */
export interface ModelList {
  /** What is known, without asking. Undefined where the provider never answered. */
  readonly known: ModelInfo[] | undefined
  /** Why the last question failed; undefined after an answer, and before the first question. */
  readonly error: string | undefined
  readonly failuresInARow: number
  /**
   * The list. Waits for the provider only where nothing is known yet, and then for `waitMs` at most; an old list is
   * returned as it is and refreshed behind it. Undefined where the provider can't be asked.
   */
  get(): Promise<ModelInfo[] | undefined>
  /** Like `get`, but waits for a new list unless this one is a few seconds old: for a model that it lacks. */
  getNew(): Promise<ModelInfo[] | undefined>
  close(): Promise<void>
}

const staleMs = 60_000
const newMs = 5_000
const retryMs = 2_000
const questionMs = 10_000
const slowWaitMs = 200

export function createModelList(provider: Provider, { clock, waitMs }: { clock: Clock; waitMs: number }): ModelList {
  const closing = new AbortController()
  let known: ModelInfo[] | undefined
  let answeredAt = -Infinity
  let failedAt = -Infinity
  let failuresInARow = 0
  let error: string | undefined
  let question: Promise<void> | undefined
  // Whoever asked last was kept waiting for nothing: the next ones are not, but for a moment, in case it is back.
  let isSlow = false

  async function ask(): Promise<void> {
    const timeout = new AbortController()
    const cancel = clock.after(questionMs, () => timeout.abort(listTimeout(provider.name)))
    try {
      known = await provider.models(AbortSignal.any([closing.signal, timeout.signal]))
      answeredAt = clock.now()
      failuresInARow = 0
      error = undefined
      isSlow = false
    } catch (failure) {
      failedAt = clock.now()
      failuresInARow += 1
      isSlow = true
      error = failure instanceof ProviderError ? failure.message : `The models of ${provider.name} can't be read.`
    } finally {
      cancel()
    }
  }

  /** Asks unless it was asked a moment ago, one question at a time. Never rejects. */
  const refresh = (): Promise<void> => {
    if (closing.signal.aborted || (!question && clock.now() - failedAt < retryMs)) return Promise.resolve()
    question ??= ask().finally(() => {
      question = undefined
    })
    return question
  }

  const atMost = (promise: Promise<void>): Promise<void> =>
    new Promise((resolve) => {
      const cancel = clock.after(isSlow ? Math.min(waitMs, slowWaitMs) : waitMs, () => {
        isSlow = true
        resolve()
      })
      void promise.finally(() => {
        cancel()
        resolve()
      })
    })

  return {
    get known() {
      return known
    },
    get error() {
      return error
    },
    get failuresInARow() {
      return failuresInARow
    },
    async get() {
      if (!known) await atMost(refresh())
      else if (clock.now() - answeredAt > staleMs) void refresh()
      return known
    },
    async getNew() {
      if (clock.now() - answeredAt > newMs) await atMost(refresh())
      return known
    },
    async close() {
      closing.abort(new Error('The server stops.'))
      await question
    },
  }
}

const listTimeout = (provider: string) =>
  new ProviderError('PROVIDER_TIMEOUT', `${provider} did not list its models within ${questionMs / 1000} s.`, {
    retryable: true,
  })
