import type { ErrorCode } from '../errors.ts'

export interface ChatMessage {
  role: 'system' | 'user' | 'assistant'
  content: string
}

export interface ChatRequest {
  /** The provider's own name of the model, without the `provider/` prefix. */
  model: string
  messages: ChatMessage[]
  temperature?: number
  topP?: number
  maxTokens?: number
  /** Sent along as `X-Request-Id`. */
  requestId?: string
}

export type FinishReason = 'stop' | 'length' | 'content_filter' | 'tool_calls'

export type Part =
  | { type: 'text'; text: string }
  | { type: 'reasoning'; text: string }
  | { type: 'usage'; promptTokens: number; completionTokens: number }
  | { type: 'finish'; reason: FinishReason }

export interface ModelInfo {
  /** The provider's own name of the model. */
  name: string
  /** Tokens; null where the provider does not say. */
  contextWindow: number | null
}

/** A source of answers. Implementations: `openaiCompatible`, `demo`. */
export interface Provider {
  readonly name: string
  /**
   * Calls the model once and hands every part to `sink` in order, as it arrives. A callback and not an async iterable,
   * so that a token costs no promise. Text comes before the finish part; usage, where it is reported, may come behind it.
   * Resolves after the last part, rejects with a `ProviderError` where the stream broke, ended without a finish reason
   * or could not be opened, with the signal's reason after an abort, and with what the sink threw; in every case only
   * once its connection is closed or, after a whole answer, free for the next request.
   */
  stream(request: ChatRequest, sink: (part: Part) => void, signal: AbortSignal): Promise<void>
  /** The models that the provider offers now. Rejects with a `ProviderError` where it does not answer. */
  models(signal: AbortSignal): Promise<ModelInfo[]>
}

export type ProviderErrorCode = Extract<
  ErrorCode,
  'PROVIDER_UNAVAILABLE' | 'PROVIDER_ERROR' | 'PROVIDER_TIMEOUT' | 'CONTEXT_TOO_LONG'
>

export interface ProviderErrorOptions {
  retryable: boolean
  retryAfterMs?: number | null
  isOutage?: boolean
  isLoading?: boolean
}

/** Why a provider's call failed. The message is shown to people: no keys, no URLs with credentials, no stack. */
export class ProviderError extends Error {
  readonly code: ProviderErrorCode
  /** Whether the same call may succeed later. */
  readonly retryable: boolean
  /** Milliseconds the provider asked to wait; null where it did not say. */
  readonly retryAfterMs: number | null
  /** Whether the provider itself is in trouble: it could not be reached, or answered 408, 429 or 5xx. */
  readonly isOutage: boolean
  /** Whether it is loading the model, so that the call may succeed once it has. */
  readonly isLoading: boolean

  constructor(code: ProviderErrorCode, message: string, options: ProviderErrorOptions) {
    super(message)
    this.name = 'ProviderError'
    this.code = code
    this.retryable = options.retryable
    this.retryAfterMs = options.retryAfterMs ?? null
    this.isOutage = options.isOutage ?? false
    this.isLoading = options.isLoading ?? false
  }
}
