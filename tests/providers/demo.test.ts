import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { demo } from '../../server/providers/demo.ts'
import { ProviderError, type Part } from '../../server/providers/provider.ts'

const never = new AbortController().signal

async function ask(content: string, options: { maxTokens?: number; signal?: AbortSignal; wordMs?: number } = {}) {
  const parts: Part[] = []
  const { maxTokens, signal = never, wordMs = 0 } = options
  const request = { model: 'demo', maxTokens, messages: [{ role: 'user' as const, content }] }
  const error = await demo({ wordMs })
    .stream(request, (part) => parts.push(part), signal)
    .then(
      () => undefined,
      (reason: unknown) => reason,
    )
  const words = parts.flatMap((part) => (part.type === 'text' ? [part.text] : []))
  return { parts, words, text: words.join(''), error }
}

test('says that it is a demo, quotes what was said, and tells how to connect a real model', async () => {
  const { text, parts, error } = await ask('What is the meaning of life, the universe and everything?')
  expect(error).toBeUndefined()
  expect(text).toContain('demo model')
  expect(text).toContain('“What is the meaning of life,…”')
  expect(text).toContain('LOCAL_BASE_URL')
  expect(text).toContain('OPENROUTER_API_KEY')
  expect(parts.at(-1)).toEqual({ type: 'finish', reason: 'stop' })
})

test('gives the same message the same answer, and reports no usage', async () => {
  const [first, second] = await Promise.all([ask('Hello'), ask('Hello')])
  expect(first.parts).toEqual(second.parts)
  expect(first.parts.some(({ type }) => type === 'usage')).toBe(false)
})

test('answers a message that is one word of 32,000 characters with a short one', async () => {
  expect((await ask('x'.repeat(32_000))).text.length).toBeLessThan(1_000)
})

test.each(['one', ' two  words\n\tand 漢字 😀 ', 'x', 'a /count 3'])(
  'echoes %j exactly, word by word',
  async (text) => {
    const answer = await ask(`/echo ${text}`)
    expect(answer.text).toBe(text)
    expect(answer.words).toHaveLength(text.trim().split(/\s+/).length)
  },
)

test.each([
  ['/count 3', '1 2 3'],
  ['/count', '1 2 3 4 5 6 7 8 9 10'],
  ['/count 0', '1'],
  ['/count many', '1 2 3 4 5 6 7 8 9 10'],
])('obeys %s', async (command, text) => {
  expect((await ask(command)).text).toBe(text)
})

test('counts to 10,000 at most', async () => {
  const { words } = await ask('/fast /count 99999999999999999999')
  expect(words).toHaveLength(10_000)
  expect(words.at(-1)).toBe('10000')
})

test('shows headings, a list, a table and code', async () => {
  const { text } = await ask('/markdown')
  for (const element of [/^# /m, /^1\. /m, /^\| --- \|/m, /^```ts$/m, /^> /m]) expect(text).toMatch(element)
})

test('tells which words it obeys', async () => {
  const { text } = await ask('/help')
  for (const word of ['/echo', '/count', '/markdown', '/fast', '/slow', '/fail']) expect(text).toContain(word)
})

test('obeys only what a message begins with', async () => {
  expect((await ask('What does /count 3 do?')).text).toContain('demo model')
  expect((await ask('/counting sheep')).text).toContain('demo model')
})

test('breaks off in mid-stream when told to fail', async () => {
  const { text, error, parts } = await ask('/fail /count 10')
  expect(text).toBe('1 2 3 4 5 ')
  expect(error).toBeInstanceOf(ProviderError)
  expect(error).toMatchObject({ code: 'PROVIDER_ERROR' })
  expect(parts.every(({ type }) => type === 'text')).toBe(true)
})

test('stops at the most tokens that were asked for', async () => {
  const { text, parts } = await ask('/count 10', { maxTokens: 3 })
  expect(text).toBe('1 2 3 ')
  expect(parts.at(-1)).toEqual({ type: 'finish', reason: 'length' })
})

test('ends with what the sink throws', async () => {
  const call = demo({ wordMs: 0 }).stream(
    { model: 'demo', messages: [] },
    () => {
      throw new RangeError('The disk is full.')
    },
    never,
  )
  await expect(call).rejects.toThrow(RangeError)
})

describe('its speed', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  const wordsAfter = async (message: string, ms: number) => {
    let words = 0
    const request = { model: 'demo', messages: [{ role: 'user' as const, content: message }] }
    void demo().stream(request, (part) => void (words += part.type === 'text' ? 1 : 0), never)
    await vi.advanceTimersByTimeAsync(ms)
    return words
  }

  test.each([
    ['/count 5', 40],
    ['/slow /count 5', 400],
  ])('for %s is %i ms a word', async (message, wordMs) => {
    expect(await wordsAfter(message, wordMs * 3 - 1)).toBe(2)
    expect(await wordsAfter(message, wordMs * 3)).toBe(3)
    expect(await wordsAfter(message, wordMs * 9)).toBe(5)
  })

  test('has no pause for /fast', async () => {
    expect(await wordsAfter('/fast /count 500', 10)).toBe(500)
  })

  test('stops with the reason of an abort, and sends no further word', async () => {
    const controller = new AbortController()
    const answer = ask('/count 100', { signal: controller.signal, wordMs: 40 })
    await vi.advanceTimersByTimeAsync(120)
    const reason = new Error('Enough.')
    controller.abort(reason)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(await answer).toMatchObject({ error: reason, text: '1 2 3 ' })
    expect(vi.getTimerCount()).toBe(0)
  })
})

test('lists one model', async () => {
  expect(await demo().models(never)).toEqual([{ name: 'demo', contextWindow: null }])
})
