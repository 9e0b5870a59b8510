import type { Config } from '../config/config.ts'
import { systemClock, type Clock } from './clock.ts'
import { demo } from './demo.ts'
import { createModelList, type ModelList } from './modelList.ts'
import { openaiCompatible } from './openaiCompatible.ts'
import { ProviderError, type ChatRequest, type Provider } from './provider.ts'
import { createResilience, type Candidate, type FinishedCall, type StreamOptions } from './resilience.ts'

/**
 * `UP`: it answers. `DEGRADED`: its last call failed within the last minute, or its list of models could not be
 * refreshed. `DOWN`: it can't be asked for its models, or it is left alone after a row of failures. `UNKNOWN`: it was
 * never asked.
 */
export type ProviderStatus = 'UP' | 'DEGRADED' | 'DOWN' | 'UNKNOWN'

export interface ProviderEntry {
  /** `local`, `openrouter` or `demo`. */
  name: string
  status: ProviderStatus
  /** Why its models could not be listed, as a sentence; null where they could. */
  error: string | null
}

export interface ModelEntry {
  /** `provider/model`, e.g. `local/llama3.2:3b`. */
  id: string
  /** The provider's own name of the model. */
  name: string
  /** The provider's name. */
  provider: string
  /** Tokens; null where the provider does not say, or was not asked yet. */
  contextWindow: number | null
}

export interface ModelCandidate extends Candidate {
  /** `provider/model`. */
  id: string
}

export interface Providers {
  /** Every configured provider, in the order of preference, with what is known of it now. Asks nobody. */
  list(): ProviderEntry[]
  /** The provider of this name, `UNKNOWN` where none is configured: old messages may name it. Asks nobody. */
  provider(name: string): ProviderEntry
  /** All models of all providers that answer, within two seconds even where one hangs. */
  models(): Promise<ModelEntry[]>
  /** What is known of a model; an entry without a context window where that is nothing. Asks nobody. */
  find(modelId: string): ModelEntry
  /**
   * The model, for someone who wants to use it. Undefined where there is no such provider, or its list lacks the model.
   * Where the provider can't be asked, any model of its is accepted: a call fails with a sentence that says why.
   */
  resolve(modelId: string): Promise<ModelCandidate | undefined>
  /** `DEFAULT_MODEL`, else the first model of the first that answers: local, openrouter, demo. */
  defaultModel(): Promise<string>
  /** The model and then those of `FALLBACK_MODELS`, as far as their providers are configured. */
  candidates(modelId: string): ModelCandidate[]
  /**
   * Streams an answer, with limits, retries and fallbacks as `createResilience` has them.
   * Rejects with a `ProviderError`, or with the signal's reason.
   */
  stream(modelId: string, request: Omit<ChatRequest, 'model'>, options: StreamOptions<ModelCandidate>): Promise<void>
  /** Ends what is under way and closes all connections. */
  close(): Promise<void>
}

/** What tests replace. */
export interface ProvidersParts {
  clock?: Clock
  random?: () => number
  /** Is told of each call once it is over. */
  onCall?: (call: FinishedCall) => void
  /** In the order of preference, instead of those that the settings configure. */
  providers?: ClosableProvider[]
}

type ClosableProvider = Provider & { close?(): Promise<void> }

const listWaitMs = 2_000
const recentMs = 60_000

/** The providers that the settings configure, and their models. Connects to nothing before it is asked. */
export function createProviders(config: Config, parts: ProvidersParts = {}): Providers {
  const { clock = systemClock, random } = parts
  const providers = parts.providers ?? configuredProviders(config)
  const byName = new Map(providers.map((provider) => [provider.name, provider]))
  const lists = new Map(providers.map((p) => [p.name, createModelList(p, { clock, waitMs: listWaitMs })]))
  const resilience = createResilience({
    limits: {
      firstTokenMs: config.providerFirstTokenTimeoutMs,
      silenceMs: config.providerSilenceTimeoutMs,
      totalMs: config.providerTotalTimeoutMs,
    },
    attempts: config.providerAttempts,
    breakerFailures: config.providerBreakerFailures,
    breakerCooldownMs: config.providerBreakerCooldownMs,
    clock,
    random,
    onCall: parts.onCall,
  })

  const candidate = (modelId: string): ModelCandidate | undefined => {
    const { provider: providerName, model } = splitModelId(modelId)
    const provider = byName.get(providerName)
    return provider && model ? { id: modelId, provider, model } : undefined
  }

  const entry = (name: string): ProviderEntry => {
    const list = lists.get(name)
    if (!list) return { name, status: 'UNKNOWN', error: null }
    return { name, status: statusOf(name, list), error: list.error ?? null }
  }

  const statusOf = (name: string, list: ModelList): ProviderStatus => {
    const calls = resilience.health(name)
    // A list that failed once may be a hiccup; a second time there is nobody.
    if (calls.isOpen || list.failuresInARow > 1 || (list.error && !list.known)) return 'DOWN'
    const failedLately = calls.failuresInARow > 0 && clock.now() - (calls.lastFailureAt ?? -Infinity) < recentMs
    if (list.error || failedLately) return 'DEGRADED'
    return list.known || calls.lastSuccessAt !== undefined ? 'UP' : 'UNKNOWN'
  }

  const candidates = (modelId: string): ModelCandidate[] =>
    [...new Set([modelId, ...config.fallbackModels])].flatMap((id) => candidate(id) ?? [])

  return {
    list: () => providers.map(({ name }) => entry(name)),
    provider: entry,
    async models() {
      const all = await Promise.all(
        providers.map(async ({ name: provider }) => {
          const models = (await lists.get(provider)!.get()) ?? []
          return models.map(({ name, contextWindow }) => ({ id: `${provider}/${name}`, name, provider, contextWindow }))
        }),
      )
      return all.flat()
    },
    find(modelId) {
      const { provider, model } = splitModelId(modelId)
      const known = lists.get(provider)?.known?.find(({ name }) => name === model)
      return { id: modelId, name: model, provider, contextWindow: known?.contextWindow ?? null }
    },
    async resolve(modelId) {
      const found = candidate(modelId)
      const list = found && lists.get(found.provider.name)
      if (!found || !list) return undefined
      const offers = (models: { name: string }[] | undefined) => models?.some(({ name }) => name === found.model)
      // Unknown counts as offered; a list that lacks it is read anew, for the model may have been pulled just now.
      const isOffered = (offers(await list.get()) ?? true) || (offers(await list.getNew()) ?? true)
      return isOffered || list.error !== undefined ? found : undefined
    },
    async defaultModel() {
      if (config.defaultModel) return config.defaultModel
      // All are asked at once and awaited in turn: the first that answers is not held up by those behind it.
      const answers = providers.map(({ name }) => ({ name, models: lists.get(name)!.get() }))
      for (const { name, models } of answers) {
        const model = firstChatModel((await models) ?? [])
        if (model) return `${name}/${model}`
      }
      throw new ProviderError('PROVIDER_UNAVAILABLE', 'No provider answers. Start one, or set DEFAULT_MODEL.', {
        retryable: true,
      })
    },
    candidates,
    async stream(modelId, request, options) {
      const found = candidates(modelId)
      if (found.length === 0) throw unknownProvider(splitModelId(modelId).provider)
      await resilience.stream(found, request, options)
    },
    async close() {
      await Promise.all([...lists.values()].map((list) => list.close()))
      await Promise.all(providers.map(async (provider) => provider.close?.()))
    },
  }
}

function configuredProviders(config: Config): ClosableProvider[] {
  const timeouts = { connectMs: config.providerConnectTimeoutMs }
  const local = openaiCompatible({
    name: 'local',
    baseUrl: config.localBaseUrl,
    apiKey: config.localApiKey,
    timeouts,
    settings: { apiKey: 'LOCAL_API_KEY', baseUrl: 'LOCAL_BASE_URL' },
  })
  if (!config.openrouterApiKey) return [local, demo()]
  const openrouter = openaiCompatible({
    name: 'openrouter',
    baseUrl: config.openrouterBaseUrl,
    apiKey: config.openrouterApiKey,
    timeouts,
    settings: { apiKey: 'OPENROUTER_API_KEY', baseUrl: 'OPENROUTER_BASE_URL' },
  })
  return [local, openrouter, demo()]
}

/** At the first slash: a model's own name may contain more, and colons. */
function splitModelId(modelId: string): { provider: string; model: string } {
  const slash = modelId.indexOf('/')
  return slash < 0
    ? { provider: modelId, model: '' }
    : { provider: modelId.slice(0, slash), model: modelId.slice(slash + 1) }
}

/** Ollama lists embedding models among the others, and nothing but their names tells them apart. */
const firstChatModel = (models: { name: string }[]): string | undefined =>
  (models.find(({ name }) => !/embed/i.test(name)) ?? models[0])?.name

function unknownProvider(name: string): ProviderError {
  const message =
    name === 'openrouter'
      ? 'OpenRouter is off. Set OPENROUTER_API_KEY and start the server again, or choose another model.'
      : `There is no provider "${name}". Choose another model.`
  return new ProviderError('PROVIDER_UNAVAILABLE', message, { retryable: false })
}
