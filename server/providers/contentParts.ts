import type { Part } from './provider.ts'

/** What servers call parts that hold text of the answer. */
const textTypes = ['text', 'output_text', 'input_text', 'text_delta']
const reasoningTypes = ['thinking', 'reasoning', 'reasoning_text', 'summary_text', 'thinking_delta']

/**
 * What a delta's `content` says: a text, one part, or an array of parts, as Mistral's reasoning models send it. A part that
 * can't be read is thrown by `fail`, so that nothing is lost in silence.
 * @see https://docs.mistral.ai/capabilities/reasoning/
 */
export function readContent(content: unknown, fail: (what: string) => Error): Part[] {
  return read(content, 'text', fail)
}

/** The same for what is reasoning wherever it stands. */
export function readReasoning(content: unknown, fail: (what: string) => Error): Part[] {
  return read(content, 'reasoning', fail)
}

function read(content: unknown, as: 'text' | 'reasoning', fail: (what: string) => Error): Part[] {
  if (content === undefined || content === null || content === '') return []
  if (typeof content === 'string') return [{ type: as, text: content }]
  if (Array.isArray(content)) return content.flatMap((part) => read(part, as, fail))
  if (typeof content !== 'object') throw fail(`its content is a ${typeof content}`)
  const part = content as Record<string, unknown>
  const type = typeof part.type === 'string' ? part.type : undefined
  if (type !== undefined && reasoningTypes.includes(type))
    return read(part.thinking ?? part.reasoning ?? part.summary ?? part.text ?? part.content, 'reasoning', fail)
  if (type === 'refusal') return read(part.refusal, as, fail)
  if (type === undefined || textTypes.includes(type)) {
    const text = part.text ?? part.content
    // as the assistants' API has it
    const value = typeof text === 'object' && text !== null && 'value' in text ? text.value : text
    if (value !== undefined && value !== null) return read(value, as, fail)
    if (type !== undefined) return []
  }
  throw fail(`it holds a part of type "${(type ?? 'unknown').slice(0, 40)}", which can't be shown`)
}
