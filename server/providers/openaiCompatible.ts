import type { Dispatcher } from 'undici'
import { createChatReader, type ChatReader } from './chatReader.ts'
import { createConnections } from './connections.ts'
import { ProviderError, type ChatRequest, type ModelInfo, type Provider } from './provider.ts'
import { brokenAnswer, connectionFailure, readRetryAfter, refusal, type Upstream } from './upstream.ts'

export interface OpenaiCompatibleOptions {
  /** The provider's configured name, e.g. `local`. */
  name: string
  /** Where the API begins, e.g. `http://127.0.0.1:11434/v1`. Credentials in it are sent as Basic authorization. */
  baseUrl: string
  apiKey?: string
  timeouts: {
    connectMs: number
    /** How long after the finish reason the usage may still come; 1,000 by default. */
    trailerMs?: number
  }
  /** Names of the settings that a failure's sentence tells people to check. */
  settings?: { apiKey: string; baseUrl: string }
}

type Response = Dispatcher.ResponseData

const maxErrorBytes = 64 * 1024
const errorBodyMs = 2_000
const endMs = 50
const maxAnswerBytes = 4 * 1024 * 1024
// OpenRouter describes its some hundred models in over a megabyte.
const maxModelsBytes = 32 * 1024 * 1024

/**
 * Any server that speaks OpenAI's chat completions: Ollama, llama.cpp, vLLM, LM Studio, OpenRouter.
 *
 * The limits to the first token, of silence and of the whole are not kept here but by `createResilience`.
 * @see https://platform.openai.com/docs/api-reference/chat/create
 */
export function openaiCompatible(options: OpenaiCompatibleOptions): Provider & { close(): Promise<void> } {
  const { name, apiKey, timeouts } = options
  const url = new URL(options.baseUrl)
  const credentials = url.username ? `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}` : ''
  const upstream: Upstream = {
    name,
    host: url.host,
    keySetting: options.settings?.apiKey ?? 'its key',
    urlSetting: options.settings?.baseUrl ?? 'its address',
    secrets: [apiKey ?? '', decodeURIComponent(url.password)],
  }
  const headers: Record<string, string> = { 'content-type': 'application/json' }
  if (apiKey) headers['authorization'] = `Bearer ${apiKey}`
  else if (credentials) headers['authorization'] = `Basic ${Buffer.from(credentials).toString('base64')}`

  const headersFor = (requestId: string | undefined): Record<string, string> =>
    requestId === undefined ? headers : { ...headers, 'x-request-id': requestId }

  const connections = createConnections(url.origin, { connectTimeoutMs: timeouts.connectMs })
  const path = (endpoint: string) => `${url.pathname.replace(/\/+$/, '')}${endpoint}${url.search}`

  /**
   * One request on a connection of its own. `read` says whether it read the response to its end; only then is the
   * connection used again. Settles after the connection was given back or its socket closed.
   */
  async function exchange<T>(
    { requestId, ...request }: { method: 'GET' | 'POST'; path: string; body?: string; requestId?: string },
    signal: AbortSignal,
    read: (response: Response) => Promise<{ value: T; isAtEnd: boolean }>,
  ): Promise<T> {
    signal.throwIfAborted()
    const connection = connections.take()
    const onAbort = () => void connection.destroy()
    signal.addEventListener('abort', onAbort, { once: true })
    let isAtEnd = false
    try {
      const response = await connection.client
        .request({ ...request, headers: headersFor(requestId) })
        .catch((error: unknown) => {
          throw connectionFailure(upstream, error)
        })
      // Destroying the connection while nobody reads must not become an uncaught error.
      response.body.on('error', () => {})
      const result = await read(response)
      // The end may have been read in the same piece as the part whose sink aborted: what was withheld is not whole.
      signal.throwIfAborted()
      isAtEnd = result.isAtEnd
      return result.value
    } catch (error) {
      throw signal.aborted ? signal.reason : error
    } finally {
      signal.removeEventListener('abort', onAbort)
      if (isAtEnd) connection.release()
      else await connection.destroy()
    }
  }

  async function refuse(response: Response, model?: string): Promise<never> {
    const { text } = await readText(response, maxErrorBytes, errorBodyMs)
    const retryAfterMs = readRetryAfter(response.headers['retry-after'])
    throw refusal(upstream, response.statusCode, text, { model, retryAfterMs })
  }

  async function whole(response: Response, maxBytes: number): Promise<string> {
    const { text, isCut } = await readText(response, maxBytes).catch((error: unknown) => {
      throw connectionFailure(upstream, error)
    })
    if (isCut) throw brokenAnswer(upstream, 'it is too large')
    return text
  }

  return {
    name,

    stream(request, sink, signal) {
      const body = JSON.stringify(toBody(request))
      const { requestId } = request
      return exchange(
        { method: 'POST', path: path('/chat/completions'), body, requestId },
        signal,
        async (response) => {
          if (response.statusCode !== 200) await refuse(response, request.model)
          const reader = createChatReader(upstream, request.model, (part) => {
            if (!signal.aborted) sink(part)
          })
          const type = String(response.headers['content-type'] ?? '')
          if (type.includes('html')) throw refusal(upstream, 200, '')
          if (!type.includes('application/json')) {
            const isAtEnd = await readStream(response, reader, upstream, timeouts.trailerMs ?? 1_000)
            return { value: undefined, isAtEnd }
          }
          reader.whole(await whole(response, maxAnswerBytes))
          reader.end()
          return { value: undefined, isAtEnd: true }
        },
      )
    },

    models(signal) {
      return exchange({ method: 'GET', path: path('/models') }, signal, async (response) => {
        if (response.statusCode !== 200) await refuse(response)
        const models = toModels(await whole(response, maxModelsBytes))
        if (!models) throw refusal(upstream, 200, '')
        return { value: models, isAtEnd: true }
      })
    },

    close: () => connections.close(),
  }
}

function toBody(request: ChatRequest): object {
  return {
    model: request.model,
    messages: request.messages,
    temperature: request.temperature,
    top_p: request.topP,
    max_tokens: request.maxTokens,
    stream: true,
    stream_options: { include_usage: true },
  }
}

/**
 * Feeds the reader until the response ends or, once the model has finished, `trailerMs` have passed: some servers keep
 * the connection open. Resolves with whether the end was reached.
 */
function readStream(response: Response, reader: ChatReader, upstream: Upstream, trailerMs: number): Promise<boolean> {
  const { body } = response
  const decoder = new TextDecoder()
  return new Promise((resolve, reject) => {
    let isSettled = false
    let trailer: NodeJS.Timeout | undefined
    let end: NodeJS.Timeout | undefined

    const settle = (isAtEnd: boolean, failure?: unknown) => {
      if (isSettled) return
      isSettled = true
      clearTimeout(trailer)
      clearTimeout(end)
      try {
        // Whatever goes wrong after the finish reason takes nothing from an answer that is complete.
        if (failure !== undefined && !(failure instanceof ProviderError && reader.isFinished)) throw failure
        reader.end()
        resolve(isAtEnd)
      } catch (error) {
        reject(error)
      }
    }
    const feed = (text: string) => {
      reader.feed(text)
      if (reader.isDone && !reader.isFinished) return settle(false)
      if (reader.isFinished) trailer ??= setTimeout(() => settle(false), trailerMs)
      // Nothing follows but the end of the response, which is worth a moment: the connection can be used again.
      if (reader.isDone) end ??= setTimeout(() => settle(false), Math.min(trailerMs, endMs))
    }

    body.on('data', (chunk: Buffer) => {
      if (isSettled) return
      try {
        feed(decoder.decode(chunk, { stream: true }))
      } catch (error) {
        settle(false, error)
      }
    })
    body.on('end', () => settle(true))
    body.on('error', (error) => settle(false, connectionFailure(upstream, error)))
  })
}

/** The body as text, up to `maxBytes` and, where given, up to `maxMs`; rejects where the connection breaks before. */
function readText(response: Response, maxBytes: number, maxMs?: number): Promise<{ text: string; isCut: boolean }> {
  const { body } = response
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const settle = (isCut: boolean) => {
      clearTimeout(timer)
      body.pause()
      resolve({ text: Buffer.concat(chunks).subarray(0, maxBytes).toString(), isCut })
    }
    const timer = maxMs === undefined ? undefined : setTimeout(() => settle(true), maxMs)
    body.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      size += chunk.length
      if (size > maxBytes) settle(true)
    })
    body.on('end', () => settle(false))
    // An error's status is known already: what was read of its body is enough.
    body.on('error', (error) => (maxMs === undefined ? reject(error) : settle(true)))
  })
}

/** Kinds of models, as Together and others name them, that don't answer messages. */
const otherKinds = new Set(['embedding', 'image', 'audio', 'video', 'rerank', 'moderation', 'transcribe'])

/** The models of `GET /models`; undefined where it is something else. */
function toModels(json: string): ModelInfo[] | undefined {
  interface Entry {
    id?: unknown
    name?: unknown
    model?: unknown
    type?: unknown
    context_length?: unknown
    max_model_len?: unknown
    meta?: { n_ctx?: unknown; n_ctx_train?: unknown } | null
  }
  let list: unknown
  try {
    const answer = JSON.parse(json) as { data?: unknown; models?: unknown } | unknown[] | null
    // OpenAI's way, Together's bare array, and Ollama's own list
    list = Array.isArray(answer) ? answer : (answer?.data ?? answer?.models ?? answer?.data)
  } catch {
    return undefined
  }
  // Ollama without a model answers `"data": null`.
  if (list === null) return []
  if (!Array.isArray(list)) return undefined
  const models = (list as (Entry | null)[]).flatMap((entry) => {
    const name = [entry?.id, entry?.name, entry?.model].find((text) => typeof text === 'string' && text !== '')
    if (!entry || typeof name !== 'string' || otherKinds.has(String(entry.type))) return []
    const windows = [entry.context_length, entry.meta?.n_ctx, entry.meta?.n_ctx_train, entry.max_model_len]
    const contextWindow = windows.find((tokens) => Number.isSafeInteger(tokens) && Number(tokens) > 0)
    return [{ name, contextWindow: (contextWindow as number | undefined) ?? null }]
  })
  return [...new Map(models.map((model) => [model.name, model])).values()]
}
