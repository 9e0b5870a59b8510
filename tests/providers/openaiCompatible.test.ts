import type { Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openaiCompatible, type OpenaiCompatibleOptions } from '../../server/providers/openaiCompatible.ts'
import { ProviderError, type ChatRequest, type Part } from '../../server/providers/provider.ts'
import { startFakeModelServer, text, type Behaviour, type FakeModelServer } from '../support/fakeModelServer.ts'
import { startRawServer, type RawServer } from '../support/rawServer.ts'

const key = 'sk-very-secret-key-1234'
let server: FakeModelServer
let raw: RawServer | undefined
let provider: ReturnType<typeof openaiCompatible>

const create = (options: Partial<OpenaiCompatibleOptions> = {}) =>
  openaiCompatible({
    name: 'local',
    baseUrl: server.url,
    apiKey: key,
    timeouts: { connectMs: 2_000, trailerMs: 60 },
    settings: { apiKey: 'LOCAL_API_KEY', baseUrl: 'LOCAL_BASE_URL' },
    ...options,
  })

beforeEach(async () => {
  server = await startFakeModelServer()
  provider = create()
})

afterEach(async () => {
  await provider.close()
  await server.stop()
  await raw?.stop()
  raw = undefined
})

const requestOf = (content: string): ChatRequest => ({ model: 'fake', messages: [{ role: 'user', content }] })

async function ask(content = 'Hi', options: { signal?: AbortSignal; request?: ChatRequest } = {}) {
  const parts: Part[] = []
  const request = options.request ?? requestOf(content)
  const error = await provider
    .stream(request, (part) => parts.push(part), options.signal ?? new AbortController().signal)
    .then(
      () => undefined,
      (reason: unknown) => reason,
    )
  const join = (type: 'text' | 'reasoning') => parts.map((part) => (part.type === type ? part.text : '')).join('')
  return { parts, error, text: join('text'), reasoning: join('reasoning') }
}

async function failure(behaviour: Behaviour): Promise<ProviderError> {
  server.script(behaviour)
  const { error } = await ask()
  expect(error).toBeInstanceOf(ProviderError)
  return error as ProviderError
}

/** Lets the provider speak to a server that does with a connection what it is told. */
async function serveRaw(onConnection: (socket: Socket) => void, protocol = 'http', connectMs = 2_000) {
  await raw?.stop()
  raw = await startRawServer(onConnection)
  await provider.close()
  provider = create({ baseUrl: `${protocol}://127.0.0.1:${raw.port}/v1`, timeouts: { connectMs } })
}

/** Lets it speak to a server whose answer is these pieces, byte for byte. */
const answerRaw = (pieces: (string | Buffer)[], contentType = 'text/event-stream') =>
  serveRaw((socket) => {
    socket.once('data', () => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-type: ${contentType}\r\nconnection: close\r\n\r\n`)
      for (const piece of pieces) socket.write(piece)
      socket.end()
    })
  })

const chunk = (delta: object, finish: string | null = null) =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`

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
    await provider.close()
    provider = create({ apiKey: undefined, baseUrl: server.url.replace('//', '//me:pass%20word@') })
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

describe('a cut answer never looks whole', () => {
  test.each<[string, Behaviour, RegExp]>([
    ['an end without a finish reason', { eof: 3 }, /ended in the middle/],
    ['a reset connection', { reset: 3, rate: 200 }, /connection broke/],
    ['garbage', { garbage: 3 }, /not JSON/],
    ['an error inside the stream', { error: 3 }, /The model ran out of memory/],
    ['a finish reason that is an error', { tokens: 3, finish: 'error' }, /broke off/],
    ['an event without an end', { endless: 3 }, /without an end/],
    ['an empty answer', { empty: true }, /is empty/],
  ])('%s is PROVIDER_ERROR', async (_, behaviour, sentence) => {
    server.script(behaviour)
    const { error, text: answer, parts } = await ask()
    expect(error).toBeInstanceOf(ProviderError)
    expect(error).toMatchObject({ code: 'PROVIDER_ERROR', retryable: true })
    expect((error as Error).message).toMatch(sentence)
    expect(answer).toBe(behaviour.empty ? '' : text('seed', 3))
    expect(parts.every(({ type }) => type === 'text')).toBe(true)
    await server.waitForClose(0)
  })

  test('[DONE] without a finish reason is PROVIDER_ERROR', async () => {
    await answerRaw([chunk({ content: 'Ye' }), 'data: [DONE]\n\n'])
    expect((await ask()).error).toMatchObject({ code: 'PROVIDER_ERROR' })
  })

  test.each([
    ['a number', 'data: 5\n\n', /another form/],
    ['a line that is no event', '<html>\n\n', /not an event/],
    ['an error field of llama.cpp', 'error: {"code":500,"message":"out of slots"}\n\n', /out of slots/],
    ['an error event', 'event: error\ndata: {"message":"out of slots"}\n\n', /said: out of slots/],
    ['an error event that is a sentence', 'event: error\ndata: out of slots\n\n', /said: out of slots/],
  ])('%s is PROVIDER_ERROR', async (_, line, sentence) => {
    await answerRaw([chunk({ content: 'Ye' }), line, chunk({ content: 's' }, 'stop')])
    const { error, text: answer } = await ask()
    expect(error).toMatchObject({ code: 'PROVIDER_ERROR' })
    expect(answer).toBe('Ye')
    expect((error as Error).message).toMatch(sentence)
  })

  test('an answer in one piece that is too large is PROVIDER_ERROR', async () => {
    await answerRaw(['{"choices":[{"message":{"content":"', 'x'.repeat(5 * 1024 * 1024)], 'application/json')
    const { error } = await ask()
    expect(error).toMatchObject({ code: 'PROVIDER_ERROR', message: expect.stringContaining('too large') })
  })

  test('a web page instead of the API names the setting to check', async () => {
    await answerRaw(['<html>Welcome</html>'], 'text/html')
    expect((await ask()).error).toMatchObject({
      code: 'PROVIDER_ERROR',
      message: expect.stringContaining('LOCAL_BASE_URL'),
    })
  })
})

describe('a server that can not be reached', () => {
  test('is PROVIDER_UNAVAILABLE with a sentence that says what to do', async () => {
    await server.stop()
    expect((await ask()).error).toMatchObject({
      code: 'PROVIDER_UNAVAILABLE',
      retryable: true,
      message: `The model server at 127.0.0.1:${server.port} does not answer. Start it, or choose another model.`,
    })
  })

  test('is PROVIDER_UNAVAILABLE where the connection is never established', async () => {
    // A port that takes the connection and never speaks TLS.
    await serveRaw(() => {}, 'https', 50)
    expect((await ask()).error).toMatchObject({ code: 'PROVIDER_UNAVAILABLE', retryable: true })
  })
})

describe('a refusal', () => {
  test.each<[number, string, boolean, RegExp]>([
    [429, 'PROVIDER_UNAVAILABLE', true, /no more requests/],
    [408, 'PROVIDER_ERROR', true, /failed \(408\)/],
    [500, 'PROVIDER_ERROR', true, /failed \(500\)/],
    [503, 'PROVIDER_ERROR', true, /failed \(503\)/],
    [401, 'PROVIDER_ERROR', false, /Check LOCAL_API_KEY/],
    [403, 'PROVIDER_ERROR', false, /Check LOCAL_API_KEY/],
    [402, 'PROVIDER_ERROR', false, /Add credit/],
    [404, 'PROVIDER_ERROR', false, /no model "fake"/],
    [400, 'PROVIDER_ERROR', false, /refused the request/],
    [302, 'PROVIDER_ERROR', false, /Check LOCAL_BASE_URL/],
  ])('with status %i is %s', async (status, code, retryable, sentence) => {
    const error = await failure({ status })
    expect(error).toMatchObject({ code, retryable })
    expect(error.message).toMatch(sentence)
    expect(error.message).toContain(`Status ${status}.`)
  })

  test.each([
    '{"error":{"message":"Too much.","code":"context_length_exceeded"}}',
    '{"error":{"message":"the request exceeds the available context size, try increasing it"}}',
    `{"error":{"message":"This model's maximum context length is 4096 tokens."}}`,
  ])('for a prompt that is too long is CONTEXT_TOO_LONG: %s', async (body) => {
    expect(await failure({ status: 400, body })).toMatchObject({ code: 'CONTEXT_TOO_LONG', retryable: false })
  })

  test('tells how long to wait, by seconds or by date', async () => {
    expect((await failure({ status: 429, retryAfter: 7 })).retryAfterMs).toBe(7_000)
    const date = new Date(Date.now() + 60_000).toUTCString()
    const { retryAfterMs } = await failure({ status: 503, retryAfter: date })
    expect(retryAfterMs).toBeGreaterThan(50_000)
    expect(retryAfterMs).toBeLessThanOrEqual(60_000)
    expect((await failure({ status: 503, retryAfter: 'soon' })).retryAfterMs).toBeNull()
  })

  test("shows at most some 300 characters of the provider's message, and no key", async () => {
    const long = `Incorrect API key ${key} or sk-or-v1-abcdef0123456789, Bearer abc.def. ${'Long. '.repeat(200_000)}`
    const { message } = await failure({ status: 401, body: JSON.stringify({ error: { message: long } }) })
    expect(message).toContain('Check LOCAL_API_KEY')
    expect(message).not.toMatch(/very-secret|abcdef0123456789|abc\.def/)
    expect(message.length).toBeLessThan(450)
  })

  test('with a body that never ends is read no further than needed', async () => {
    let written = 0
    const closed = Promise.withResolvers<void>()
    await serveRaw((socket) => {
      const pump = () => {
        while (!socket.destroyed && socket.write('x'.repeat(64 * 1024)));
      }
      socket.once('data', () => {
        socket.write('HTTP/1.1 500 No\r\ncontent-length: 9999999999\r\n\r\n')
        socket.on('drain', pump)
        pump()
      })
      socket.on('close', () => {
        written = socket.bytesWritten
        closed.resolve()
      })
    })
    expect((await ask()).error).toMatchObject({ code: 'PROVIDER_ERROR' })
    await closed.promise
    // What the kernel's buffers take, and not what two seconds would.
    expect(written).toBeLessThan(32 * 1024 * 1024)
  })

  test('inside a stream keeps its status', async () => {
    await answerRaw([`data: ${JSON.stringify({ error: { code: 401, message: 'No.' } })}\n\n`])
    expect((await ask()).error).toMatchObject({ code: 'PROVIDER_ERROR', retryable: false })
  })
})

describe('an abort', () => {
  test.each([
    ['in mid-stream', 'Hi [[tokens=1000 rate=200]]'],
    ['before the first token', 'Hi [[stall=0]]'],
    ['before the headers', 'Hi [[hang]]'],
  ])('%s rejects with its reason, after the socket is closed', async (_, content) => {
    const controller = new AbortController()
    const reason = new Error('Enough.')
    const answer = ask(content, { signal: controller.signal })
    const request = await server.waitForRequest(0)
    controller.abort(reason)
    expect((await answer).error).toBe(reason)
    await server.waitForClose(0)
    expect(request.wasAborted).toBe(true)
    expect(server.openStreams).toBe(0)
  })

  test('while the body of an error is read rejects with its reason', async () => {
    const controller = new AbortController()
    const reason = new Error('Enough.')
    await serveRaw((socket) => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 500 No\r\ncontent-length: 99\r\n\r\nhalf', () => controller.abort(reason))
      })
    })
    expect((await ask('Hi', { signal: controller.signal })).error).toBe(reason)
  })

  test('while it connects rejects with its reason', async () => {
    const controller = new AbortController()
    const reason = new Error('Enough.')
    await serveRaw(() => controller.abort(reason), 'https')
    expect((await ask('Hi', { signal: controller.signal })).error).toBe(reason)
  })

  test('before the call sends nothing', async () => {
    const reason = new Error('Enough.')
    expect((await ask('Hi', { signal: AbortSignal.abort(reason) })).error).toBe(reason)
    expect(server.requests).toHaveLength(0)
  })

  test.each([
    ['the rest comes later', [chunk({ content: 'Y' }), chunk({ content: 'es' }, 'stop')]],
    ['the whole answer came in one piece', [chunk({ content: 'Y' }) + chunk({ content: 'es' }, 'stop')]],
  ])('by the sink hands out no further part, though %s', async (_, pieces) => {
    await answerRaw(pieces)
    const controller = new AbortController()
    const reason = new Error('Enough.')
    const parts: Part[] = []
    const take = (part: Part) => {
      parts.push(part)
      controller.abort(reason)
    }
    await expect(provider.stream(requestOf('Hi'), take, controller.signal)).rejects.toBe(reason)
    expect(parts).toEqual([{ type: 'text', text: 'Y' }])
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
