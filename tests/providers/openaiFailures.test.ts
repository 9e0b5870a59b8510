import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ProviderError, type Part } from '../../server/providers/provider.ts'
import type { Behaviour } from '../support/behaviour.ts'
import { text } from '../support/fakeModelServer.ts'
import {
  answerRaw,
  ask,
  chunk,
  failure,
  key,
  provider,
  requestOf,
  server,
  serveRaw,
  startUpstream,
  stopUpstream,
} from './upstream.ts'

beforeEach(startUpstream)
afterEach(stopUpstream)

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
