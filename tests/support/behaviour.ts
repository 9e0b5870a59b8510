/**
 * How a completion is answered. The same words, in double square brackets anywhere in the last message of the user, steer
 * a server that a test can't reach: `Hello [[tokens=50 rate=20 stall=10 usage=off]]`. A word without a value means 1 for
 * a number and `true` for a flag; `off` means false.
 */
export interface Behaviour {
  /** Length of the answer; 20 by default. */
  tokens?: number
  /** Tokens a second; 0, the default, is as fast as it can. */
  rate?: number
  /** Milliseconds from the request to the first token; the headers go out at once. */
  delay?: number
  /** Seeds the tokens; `seed` by default. */
  seed?: string
  /** Whether tokens contain characters of two to four bytes. */
  unicode?: boolean
  /** Events in one write; 1 by default. */
  batch?: number
  /** Cuts the stream into writes of so many bytes, in the middle of characters too. */
  split?: number
  /** Reasoning tokens before the answer. */
  reasoning?: number
  /** Whether comment lines come before the first token. */
  comments?: boolean
  /** Whether usage is reported; true by default. */
  usage?: boolean
  /** Whether the answer is one JSON object, though a stream was asked for. */
  json?: boolean
  /** Whether `[DONE]` and the end of the response fail to come after the finish reason. */
  linger?: boolean
  /** The finish reason; `stop` by default. */
  finish?: string

  /** Sends so many tokens, then nothing, and keeps the connection open. */
  stall?: number
  /** Sends so many tokens, then resets the connection. */
  reset?: number
  /** Sends so many tokens, then ends the response without a finish reason. */
  eof?: number
  /** Sends so many tokens, then something that is not JSON, then goes on. */
  garbage?: number
  /** Sends so many tokens, then an error object inside the stream, then ends. */
  error?: number
  /** Sends so many tokens, then an event that never ends. */
  endless?: number
  /** Whether the answer is only `[DONE]`. */
  empty?: boolean
  /** Whether nothing is sent at all, not even headers. */
  hang?: boolean

  /** Answers with this HTTP status and `body`. */
  status?: number
  body?: string
  /** The Retry-After header, with `status`. */
  retryAfter?: string | number
  /** So many calls with the same last message get `status` (500 by default), the later ones an answer. */
  failures?: number
}

/** The behaviour in the double square brackets of a message. */
export function readWords(message: string): Behaviour {
  const words = /\[\[([^\]]*)\]\]/.exec(message)?.[1]?.trim().split(/\s+/) ?? []
  return Object.fromEntries(
    words.filter(Boolean).map((word) => {
      const [key, value = ''] = word.split('=', 2) as [string, string?]
      return [key, readValue(key, value)]
    }),
  )
}

const flags = new Set(['unicode', 'comments', 'usage', 'json', 'linger', 'empty', 'hang'])
const strings = new Set(['seed', 'finish', 'body', 'retryAfter'])

const readValue = (key: string, value: string): string | number | boolean =>
  flags.has(key) ? value !== 'off' : strings.has(key) ? value : value === '' ? 1 : Number(value)
