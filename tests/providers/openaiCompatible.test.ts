import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ProviderError } from '../../server/providers/provider.ts'
import { text } from '../support/fakeModelServer.ts'
import {
  answerRaw,
  ask,
  chunk,
  key,
  provider,
  recreate,
  requestOf,
  server,
  startUpstream,
  stopUpstream,
} from './upstream.ts'

beforeEach(startUpstream)
afterEach(stopUpstream)

describe('an answer', () => {
  test('arrives token by token, with finish reason and usage', async () => {
    const { parts, error } = await ask('Hello [[tokens=3]]')
    expect(error).toBeUndefined()
    expect(parts.map(({ type }) => type)).toEqual(['text', 'text', 'text', 'finish', 'usage'])
    expect(parts.at(-1)).toEqual({ type: 'usage', promptTokens: 5, completionTokens: 3 })
    expect(parts.at(-2)).toEqual({ type: 'finish', reason: 'stop' })
  })

  test.each([1, 2, 3, 7, 1000])('is byte-equal when it comes in pieces of %i bytes', async (split) => {
    const answer = await ask(`Hello [[tokens=40 unicode split=${split} comments]]`)
    expect(answer.error).toBeUndefined()
    expect(answer.text).toBe(text('seed', 40, true))
  })

  test('is byte-equal when several tokens come in one piece', async () => {
    expect((await ask('Hello [[tokens=100 batch=9]]')).text).toBe(text('seed', 100))
  })

  test('may come without usage', async () => {
    const { parts, error } = await ask('Hello [[tokens=2 usage=off]]')
    expect(error).toBeUndefined()
    expect(parts.map(({ type }) => type)).toEqual(['text', 'text', 'finish'])
  })

  test('shows reasoning apart from text, under either of its names', async () => {
    const answer = await ask('Hello [[tokens=2 reasoning=3]]')
    expect(answer.reasoning).toBe(text('seed thought', 3))
    expect(answer.text).toBe(text('seed', 2))

    await answerRaw([chunk({ reasoning_content: 'Hm.' }), chunk({ content: 'Yes.' }, 'stop')])
    expect(await ask()).toMatchObject({ reasoning: 'Hm.', text: 'Yes.', error: undefined })
  })

  test.each([
    ['stop', 'stop'],
    ['length', 'length'],
    ['content_filter', 'content_filter'],
    ['function_call', 'tool_calls'],
    ['eos', 'stop'],
  ])('that ends with finish reason %s is finished as %s', async (finish, reason) => {
    const { parts } = await ask(`Hello [[tokens=1 finish=${finish}]]`)
    expect(parts[1]).toEqual({ type: 'finish', reason })
  })

  test('is not finished by a finish reason that is empty', async () => {
    await answerRaw([chunk({ content: 'Y' }, ''), chunk({ content: 'es' }, 'stop'), 'data: [DONE]\n\n'])
    expect((await ask()).parts.map(({ type }) => type)).toEqual(['text', 'text', 'finish'])
  })

  test('may have no text at all, if it has a finish reason', async () => {
    const { parts, error } = await ask('Hello [[tokens=0 usage=off]]')
    expect(error).toBeUndefined()
    expect(parts).toEqual([{ type: 'finish', reason: 'stop' }])
  })

  test('of a server that does not stream is taken whole', async () => {
    const { parts, text: answer } = await ask('Hello [[tokens=4 json]]')
    expect(answer).toBe(text('seed', 4))
    expect(parts.map(({ type }) => type)).toEqual(['text', 'finish', 'usage'])
  })

  test('is complete though the last event lacks its empty line and [DONE]', async () => {
    await answerRaw([chunk({ content: 'Yes.' }), chunk({}, 'stop').trimEnd()])
    expect(await ask()).toMatchObject({ text: 'Yes.', error: undefined })
  })

  test('is complete though the connection stays open, and then closes it', async () => {
    const { error, parts } = await ask('Hello [[tokens=2 linger]]')
    expect(error).toBeUndefined()
    expect(parts.map(({ type }) => type)).toEqual(['text', 'text', 'finish', 'usage'])
    expect((await server.waitForClose(0)).wasAborted).toBe(true)
  })

  test('is complete though the connection broke after the finish reason', async () => {
    await answerRaw([chunk({ content: 'Yes.' }, 'stop'), 'data: {"cho\n\n'])
    expect(await ask()).toMatchObject({ text: 'Yes.', error: undefined })
  })
})

describe('a request', () => {
  test('carries the key, the messages and only the settings that were given', async () => {
    await ask()
    expect(server.requests[0]!.headers.authorization).toBe(`Bearer ${key}`)
    expect(server.requests[0]!.body).toEqual({
      model: 'fake',
      messages: [{ role: 'user', content: 'Hi' }],
      stream: true,
      stream_options: { include_usage: true },
    })
    await ask('', { request: { ...requestOf('Hi'), temperature: 0, topP: 0.5, maxTokens: 7 } })
    expect(server.requests[1]!.body).toMatchObject({ temperature: 0, top_p: 0.5, max_tokens: 7 })
  })

  test('sends the credentials of the address as Basic authorization, and never shows them', async () => {
    await recreate({ apiKey: undefined, baseUrl: server.url.replace('//', '//me:pass%20word@') })
    server.script({ status: 400, body: 'wrong: pass word' })
    const { error } = await ask()
    const expected = `Basic ${Buffer.from('me:pass word').toString('base64')}`
    expect(server.requests[0]!.headers.authorization).toBe(expected)
    expect(String(error)).not.toContain('pass word')
  })

  test('uses the connection of an answer that was read to its end', async () => {
    for (let n = 0; n < 4; n++) expect((await ask()).error).toBeUndefined()
    expect(server.connections).toBe(1)
  })

  test('has a connection of its own while others run, as many as are wanted', async () => {
    const answers = await Promise.all(Array.from({ length: 60 }, (_, n) => ask(`[[tokens=5 delay=30 seed=s${n}]]`)))
    expect(answers.map((answer) => answer.text)).toEqual(answers.map((_, n) => text(`s${n}`, 5)))
    expect(server.connections).toBe(60)
  })
})

test('what the sink throws ends the call and the connection', async () => {
  const call = provider.stream(
    requestOf('[[tokens=1000 rate=200]]'),
    () => {
      throw new RangeError('The disk is full.')
    },
    new AbortController().signal,
  )
  await expect(call).rejects.toThrow(RangeError)
  expect((await server.waitForClose(0)).wasAborted).toBe(true)
})

test('closing ends what is under way', async () => {
  const answer = ask('[[stall=1]]')
  await server.waitForRequest(0)
  await provider.close()
  expect((await answer).error).toBeInstanceOf(ProviderError)
  await server.waitForClose(0)
})

describe('models', () => {
  const list = () => provider.models(new AbortController().signal)

  test('come with the context window under each of its names', async () => {
    server.modelsReply.models = [
      { id: 'a/b:free', context_length: 1 },
      { id: 'b', meta: { n_ctx: 2, n_ctx_train: 9 } },
      { id: 'c', meta: { n_ctx_train: 3 } },
      { id: 'd', max_model_len: 4 },
      { id: 'e', context_length: 'much' },
    ]
    expect(await list()).toEqual([
      { name: 'a/b:free', contextWindow: 1 },
      { name: 'b', contextWindow: 2 },
      { name: 'c', contextWindow: 3 },
      { name: 'd', contextWindow: 4 },
      { name: 'e', contextWindow: null },
    ])
  })

  test('that are refused, or no list, reject with a ProviderError', async () => {
    server.modelsReply.status = 401
    await expect(list()).rejects.toMatchObject({
      code: 'PROVIDER_ERROR',
      message: expect.stringContaining('LOCAL_API_KEY'),
    })
    await answerRaw(['{"hello":"world"}'], 'application/json')
    await expect(list()).rejects.toMatchObject({ message: expect.stringContaining('LOCAL_BASE_URL') })
  })

  test('reject with the reason of an abort', async () => {
    server.modelsReply.hang = true
    const reason = new Error('Enough.')
    const controller = new AbortController()
    const call = provider.models(controller.signal)
    setImmediate(() => controller.abort(reason))
    await expect(call).rejects.toBe(reason)
  })
})
