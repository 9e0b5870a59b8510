import { describe, expect, it } from 'vitest'
import { createChatReader } from '../../server/providers/chatReader.ts'
import { refusal } from '../../server/providers/upstream.ts'
import type { Part } from '../../server/providers/provider.ts'

const upstream = {
  name: 'local',
  host: 'localhost:1',
  keySetting: 'LOCAL_API_KEY',
  urlSetting: 'LOCAL_BASE_URL',
  secrets: [],
}

function read(...choices: object[]): Part[] {
  const parts: Part[] = []
  const reader = createChatReader(upstream, 'm', (part) => parts.push(part))
  for (const choice of choices) reader.feed(`data: ${JSON.stringify({ choices: [choice] })}\n\n`)
  reader.feed('data: [DONE]\n\n')
  reader.end()
  return parts
}

const end = { delta: {}, finish_reason: 'stop' }
const said = (parts: Part[], type: 'text' | 'reasoning') =>
  parts.flatMap((part) => (part.type === type && 'text' in part ? [part.text] : [])).join('')

describe('content', () => {
  it('is read where it is parts, thinking apart from text', () => {
    const parts = read(
      { delta: { role: 'assistant', content: [{ type: 'thinking', thinking: [{ type: 'text', text: 'mm' }] }] } },
      { delta: { content: [{ type: 'text', text: 'Hello' }] } },
      {
        delta: {
          content: [
            { type: 'text', text: ' dear' },
            { type: 'text', text: ' all' },
          ],
        },
      },
      { delta: { content: ' of you' } },
      end,
    )
    expect([said(parts, 'text'), said(parts, 'reasoning')]).toEqual(['Hello dear all of you', 'mm'])
  })

  it.each([
    ['one part', { delta: { content: { type: 'text', text: 'hi' } } }],
    ['a part without a type', { delta: { content: [{ text: 'hi' }] } }],
    ['texts in an array', { delta: { content: ['h', 'i'] } }],
    ['a part of the Responses API', { delta: { content: [{ type: 'output_text', text: 'hi' }] } }],
    ['a text with a value', { delta: { content: [{ type: 'text', text: { value: 'hi' } }] } }],
    ['a refusal', { delta: { content: null, refusal: 'hi' } }],
    ['a text beside the delta', { text: 'hi' }],
    ['a message', { message: { role: 'assistant', content: [{ type: 'text', text: 'hi' }] } }],
  ])('is read where it is %s', (_name, choice) => {
    expect(said(read(choice, end), 'text')).toBe('hi')
  })

  it('is read from a whole completion that has parts', () => {
    const parts: Part[] = []
    const reader = createChatReader(upstream, 'm', (part) => parts.push(part))
    const message = {
      content: [
        { type: 'thinking', thinking: 'mm' },
        { type: 'text', text: 'hi' },
      ],
    }
    reader.whole(JSON.stringify({ choices: [{ message, finish_reason: 'stop' }] }))
    reader.end()
    expect([said(parts, 'text'), said(parts, 'reasoning')]).toEqual(['hi', 'mm'])
  })

  it.each([
    ['a picture', { delta: { content: [{ type: 'image_url', image_url: { url: 'x' } }] } }, 'image_url'],
    ['a part of an unknown form', { delta: { content: [{ nothing: 1 }] } }, 'unknown'],
    ['a number', { delta: { content: 7 } }, 'number'],
    ['a call of a tool that nobody offered', { delta: { tool_calls: [{ index: 0, id: 'a' }] } }, 'tool'],
  ])('fails the answer where it is %s', (_name, choice, word) => {
    expect(() => read(choice, end)).toThrow(word)
  })
})

it.each(['constructor', 'toString', '__proto__', 'eos'])('a finish reason "%s" ends an answer', (reason) => {
  expect(read({ delta: { content: 'hi' } }, { delta: {}, finish_reason: reason }).at(-1)).toEqual({
    type: 'finish',
    reason: 'stop',
  })
})

it.each([
  [
    { detail: [{ loc: ['body', 'temperature'], msg: 'Input should be at most 1', type: 'x' }] },
    'temperature: Input should be at most 1',
  ],
  [{ detail: 'No such thing' }, 'No such thing'],
  [{ errors: [{ message: 'one' }, 'two'] }, 'one; two'],
  [[{ error: { message: 'in an array' } }], 'in an array'],
  [{ error: 'a text' }, 'a text'],
])('the reason of a refusal is shown: %j', (body, sentence) => {
  expect(refusal(upstream, 422, JSON.stringify(body)).message).toContain(`It said: ${sentence}`)
})

it.each([
  ['{"error":{"message":"Loading model","type":"unavailable_error","code":503}}', true],
  ['{"error":"Model org/name is currently loading","estimated_time":20}', true],
  ['{"error":"the model is still being loaded"}', true],
  ['{"error":"overloaded"}', false],
  ['', false],
])('503 with %s is told from other failures: loading %s', (body, isLoading) => {
  expect(refusal(upstream, 503, body)).toMatchObject({ isLoading, isOutage: true, retryable: true })
})
