import { createParser } from 'eventsource-parser'
import { readContent, readReasoning } from './contentParts.ts'
import type { FinishReason, Part } from './provider.ts'
import { brokenAnswer, reportedError, type Upstream } from './upstream.ts'

/** Turns the text of a chat completion into parts. What is wrong with it is thrown as a `ProviderError`. */
export interface ChatReader {
  /** The next piece of an event stream, cut anywhere. */
  feed(text: string): void
  /** A whole completion as one JSON object: the answer of a server that does not stream. */
  whole(json: string): void
  /** The stream ended. Throws unless the model had finished. */
  end(): void
  /** The model gave its finish reason: the answer is complete, only usage may follow. */
  readonly isFinished: boolean
  /** `[DONE]` was read: nothing follows. */
  readonly isDone: boolean
}

interface Delta {
  content?: unknown
  reasoning?: unknown
  reasoning_content?: unknown
  refusal?: unknown
  tool_calls?: unknown
  function_call?: unknown
}

/** What is read of a chunk, and of a whole completion; every leaf is checked before it is used. */
interface Completion {
  error?: unknown
  choices?: { delta?: Delta | null; message?: Delta | null; text?: unknown; finish_reason?: unknown }[] | null
  usage?: { prompt_tokens?: unknown; completion_tokens?: unknown } | null
}

const maxEventCharacters = 1024 * 1024

// a Map: a server may say "constructor", which every object has
const finishReasons = new Map<string, FinishReason>(
  Object.entries({
    length: 'length',
    max_tokens: 'length',
    content_filter: 'content_filter',
    tool_calls: 'tool_calls',
    function_call: 'tool_calls',
  }),
)

/**
 * @see https://platform.openai.com/docs/api-reference/chat/streaming
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export function createChatReader(upstream: Upstream, model: string, sink: (part: Part) => void): ChatReader {
  let isEmpty = true
  let isFinished = false
  let isDone = false
  let usage: Part | undefined

  const parse = (json: string): Completion => {
    let value: unknown
    try {
      value = JSON.parse(json)
    } catch {
      throw brokenAnswer(upstream, 'it sent something that is not JSON')
    }
    if (typeof value !== 'object' || value === null) throw brokenAnswer(upstream, 'it sent JSON of another form')
    return value
  }

  const read = (completion: Completion) => {
    if (completion.error) throw reportedError(upstream, completion.error, model)
    isEmpty = false
    if (completion.usage) usage = readUsage(completion.usage) ?? usage
    const choice = Array.isArray(completion.choices) ? completion.choices[0] : undefined
    if (!choice) return
    const delta = choice.delta ?? choice.message
    const fail = (what: string): Error => brokenAnswer(upstream, what)
    for (const part of readReasoning(delta?.reasoning || delta?.reasoning_content, fail)) sink(part)
    for (const part of readContent(delta?.content, fail)) sink(part)
    // what a model says when it refuses, and the text of the older completions
    for (const text of [delta?.refusal, choice.text]) for (const part of readContent(text, fail)) sink(part)
    // none were offered, so there is nobody to run it
    if (hasCalls(delta)) throw brokenAnswer(upstream, 'it calls a tool, and none was offered')
    // Some servers have an empty one in every chunk but the last.
    if (typeof choice.finish_reason !== 'string' || !choice.finish_reason || isFinished) return
    // OpenRouter's word for a model that broke off.
    if (choice.finish_reason === 'error') throw brokenAnswer(upstream, 'the model broke off')
    isFinished = true
    sink({ type: 'finish', reason: finishReasons.get(choice.finish_reason) ?? 'stop' })
  }

  const parser = createParser({
    maxBufferSize: maxEventCharacters,
    onEvent({ event, data }) {
      if (isDone) return
      if (data === '[DONE]') isDone = true
      else if (event === 'error') throw reportedError(upstream, errorIn(data), model)
      else read(parse(data))
    },
    onError(error) {
      if (error.type === 'max-buffer-size-exceeded') throw brokenAnswer(upstream, 'it sent an event without an end')
      if (error.type !== 'unknown-field') return
      // llama.cpp reports a failure in mid-stream as a field of its own, `error: {…}`.
      if (error.field === 'error') throw reportedError(upstream, errorIn(error.value ?? ''), model)
      // The specification would skip it; but a line that was damaged on its way may have been a token.
      throw brokenAnswer(upstream, 'it sent something that is not an event')
    },
  })

  return {
    feed: (text) => parser.feed(text),
    whole: (json) => read(parse(json)),
    end() {
      // The last event may lack its empty line.
      if (!isFinished) parser.feed('\n\n')
      if (isEmpty) throw brokenAnswer(upstream, 'it is empty')
      if (!isFinished) throw brokenAnswer(upstream, 'it ended in the middle')
      if (usage) sink(usage)
    },
    get isFinished() {
      return isFinished
    },
    get isDone() {
      return isDone
    },
  }
}

const hasCalls = (delta: Delta | null | undefined): boolean =>
  (Array.isArray(delta?.tool_calls) && delta.tool_calls.length > 0) || Boolean(delta?.function_call)

/** What an error event carries: an error under `error`, the error itself, or nothing but words. */
function errorIn(data: string): unknown {
  try {
    const value = JSON.parse(data) as { error?: unknown } | null
    return value?.error ?? value
  } catch {
    return data
  }
}

function readUsage(usage: NonNullable<Completion['usage']>): Part | undefined {
  const { prompt_tokens: promptTokens, completion_tokens: completionTokens } = usage
  const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0
  return isCount(promptTokens) && isCount(completionTokens)
    ? { type: 'usage', promptTokens, completionTokens }
    : undefined
}
