import { ProviderError } from './provider.ts'

/** What the sentences about a failure may name of a model server. */
export interface Upstream {
  /** The provider's configured name, e.g. `local`. */
  name: string
  /** Host and port, without credentials. */
  host: string
  /** The setting that holds its key, e.g. `LOCAL_API_KEY`. */
  keySetting: string
  /** The setting that holds its address, e.g. `LOCAL_BASE_URL`. */
  urlSetting: string
  /** What must never be shown, even where the server repeats it. */
  secrets: string[]
}

const shownCharacters = 300

const unreachable = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
])

/** The connection could not be opened, or broke. */
export function connectionFailure(upstream: Upstream, error: unknown): ProviderError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (unreachable.has(code)) {
    const message = `The model server at ${upstream.host} does not answer. Start it, or choose another model.`
    return new ProviderError('PROVIDER_UNAVAILABLE', message, { retryable: true, isOutage: true })
  }
  if (/CERT|TLS|SSL/.test(code)) {
    const message = `The certificate of ${upstream.host} is not trusted (${code}). Check ${upstream.urlSetting}.`
    return new ProviderError('PROVIDER_UNAVAILABLE', message, { retryable: false })
  }
  const { code: errorCode, message } = brokenAnswer(upstream, 'the connection broke before the answer was complete')
  return new ProviderError(errorCode, message, { retryable: true, isOutage: true })
}

/** The answer came, but not as an answer should. `what` ends the sentence "The answer of … is not usable: …". */
export function brokenAnswer(upstream: Upstream, what: string): ProviderError {
  const message = `The answer of ${upstream.name} is not usable: ${what}. Send the message again, or choose another model.`
  return new ProviderError('PROVIDER_ERROR', message, { retryable: true })
}

/** An HTTP status other than 200. `body` is what was read of it, `retryAfter` the header. */
export function refusal(
  upstream: Upstream,
  status: number,
  body: string,
  options: { model?: string; retryAfterMs?: number | null } = {},
): ProviderError {
  const { model, retryAfterMs = null } = options
  const said = shown(upstream, messageIn(body))
  const error = (code: ProviderError['code'], message: string, retryable: boolean) =>
    new ProviderError(code, said ? `${message} It said: ${said}` : message, {
      retryable,
      retryAfterMs,
      isOutage: status === 408 || status === 429 || status >= 500,
      isLoading: status === 503 && isLoadingWords.test(body),
    })

  if (isTooLong(status, body)) {
    const message = `The conversation is too long for ${model ?? 'this model'}. Start a new session, or choose a model with a larger context.`
    return error('CONTEXT_TOO_LONG', message, false)
  }
  if (status === 429) {
    const when = retryAfterMs === null ? 'later' : `in ${Math.ceil(retryAfterMs / 1000)} s`
    const message = `${upstream.name} takes no more requests for now (429). Try again ${when}, or choose another model.`
    return error('PROVIDER_UNAVAILABLE', message, true)
  }
  if (status === 401 || status === 403) {
    return error(
      'PROVIDER_ERROR',
      `${upstream.name} did not accept the key (${status}). Check ${upstream.keySetting}.`,
      false,
    )
  }
  if (status === 402) {
    const message = `${upstream.name} wants payment (402). Add credit to the account of ${upstream.keySetting}, or choose another model.`
    return error('PROVIDER_ERROR', message, false)
  }
  if (status === 404 && model !== undefined) {
    const message = `${upstream.name} has no model "${model}" (404). Choose another model, or check ${upstream.urlSetting}.`
    return error('PROVIDER_ERROR', message, false)
  }
  if (status === 408 || status >= 500) {
    return error('PROVIDER_ERROR', `${upstream.name} failed (${status}). Try again, or choose another model.`, true)
  }
  if (status < 400) {
    const message = `${upstream.host} answered with something else than the API (${status}). Check ${upstream.urlSetting}.`
    return error('PROVIDER_ERROR', message, false)
  }
  return error(
    'PROVIDER_ERROR',
    `${upstream.name} refused the request (${status}). Choose another model or other settings.`,
    false,
  )
}

/** An error that was reported inside a stream whose status was 200. */
export function reportedError(upstream: Upstream, reported: unknown, model: string): ProviderError {
  const body = JSON.stringify({ error: reported }) ?? ''
  const code = typeof reported === 'object' && reported !== null && 'code' in reported ? Number(reported.code) : NaN
  const status = Number.isInteger(code) && code >= 400 && code < 600 ? code : isTooLong(400, body) ? 400 : 500
  const failure = refusal(upstream, status, body, { model })
  if (failure.code === 'CONTEXT_TOO_LONG') return failure
  return new ProviderError('PROVIDER_ERROR', failure.message, { retryable: failure.retryable })
}

/**
 * Milliseconds to wait by a Retry-After header: seconds or an HTTP date, as RFC 9110, section 10.2.3, has it.
 * Null where it is missing or neither.
 */
export function readRetryAfter(header: string | string[] | undefined, now = Date.now()): number | null {
  const value = Array.isArray(header) ? header[0] : header
  if (!value) return null
  if (/^\s*\d+(\.\d+)?\s*$/.test(value)) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? null : Math.max(0, date - now)
}

/** llama.cpp says "Loading model", Hugging Face's servers "Model … is currently loading". */
const isLoadingWords =
  /\bloading\b[^.]{0,40}\bmodel\b|\bmodel\b[^.]{0,80}\b(?:is|still|currently|being)\b[^.]{0,20}\bload/i

const isTooLong = (status: number, body: string): boolean =>
  (status === 400 || status === 413 || status === 422) &&
  /context[ _](length|size|window)|context_length_exceeded|exceed_context|maximum context|prompt is too long|too many tokens/i.test(
    body,
  )

/** The human part of an error's body: `error.message` and its kin where it is JSON, else all of it. */
function messageIn(body: string): string {
  let json: unknown
  try {
    json = JSON.parse(body)
  } catch {
    // A proxy's HTML page says nothing that a person could use.
    return body.trimStart().startsWith('<') ? '' : body
  }
  if (typeof json !== 'object' || json === null) return body
  const outer = (Array.isArray(json) ? json[0] : json) as Record<string, unknown> | undefined
  const inner = outer?.error ?? outer?.message ?? outer?.detail ?? outer?.errors
  if (Array.isArray(inner)) return inner.map(problemIn).filter(Boolean).join('; ')
  if (typeof inner !== 'object' || inner === null) return typeof inner === 'string' ? inner : ''
  const { message, metadata } = inner as { message?: unknown; metadata?: { raw?: unknown } | null }
  // OpenRouter's own message is often only "Provider returned error"; the reason stands in `metadata.raw`.
  return [message, metadata?.raw].filter((text) => typeof text === 'string').join(': ')
}

/** One entry of a list of errors; FastAPI's says where in the request it stands, e.g. `["body", "temperature"]`. */
function problemIn(entry: unknown): string {
  if (typeof entry !== 'object' || entry === null) return typeof entry === 'string' ? entry : ''
  const { loc, msg, message } = entry as { loc?: unknown; msg?: unknown; message?: unknown }
  const what = typeof msg === 'string' ? msg : typeof message === 'string' ? message : ''
  const place = Array.isArray(loc) ? loc.filter((part) => part !== 'body').join('.') : ''
  return place && what ? `${place}: ${what}` : what
}

/** One line of at most some 300 characters, without keys. Masked before it is cut: half a key is still a secret. */
function shown(upstream: Upstream, text: string): string {
  let masked = text
  for (const secret of upstream.secrets) if (secret.length >= 4) masked = masked.replaceAll(secret, '***')
  masked = masked
    .replace(/\b(sk|pk|rk|gsk|key|xai|hf)[-_][\w*-]{4,}/gi, '***')
    .replace(/\b(bearer|basic)\s+[^\s"',;]+/gi, '$1 ***')
    .replace(/:\/\/[^\s/@]+@/g, '://***@')
    // eslint-disable-next-line no-control-regex
    .replace(/[\s\u0000-\u001f\u007f]+/g, ' ')
    .trim()
  return masked.length > shownCharacters ? `${masked.slice(0, shownCharacters - 1)}…` : masked
}
