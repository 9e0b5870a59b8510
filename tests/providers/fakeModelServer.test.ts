import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startFakeModelServer, text, token, type FakeModelServer } from '../support/fakeModelServer.ts'

let server: FakeModelServer
const cut = new AbortController()

beforeEach(async () => {
  server = await startFakeModelServer()
})
afterEach(() => server.stop())

const post = (content: string, signal = cut.signal) =>
  fetch(`${server.url}/chat/completions`, {
    method: 'POST',
    signal,
    body: JSON.stringify({ model: 'fake', stream: true, messages: [{ role: 'user', content }] }),
  })

/** What a client of this server reads, without the code under test. */
async function read(content: string) {
  const body = await (await post(content)).text()
  const events = body.split('\n\n').filter((line) => line.startsWith('data: {'))
  return events
    .map((line) => JSON.parse(line.slice('data: '.length)) as { choices: { delta: { content?: string } }[] })
    .map(({ choices }) => choices[0]?.delta.content ?? '')
    .join('')
}

test('a token is told by its number and a hash of seed and number', () => {
  expect(token('seed', 7)).toMatch(/^7:[0-9a-f]{8} $/)
  expect(token('seed', 7)).toBe(token('seed', 7))
  expect(token('other', 7)).not.toBe(token('seed', 7))
  expect(text('seed', 3)).toBe(token('seed', 0) + token('seed', 1) + token('seed', 2))
})

test.each(['', 'rate=2000', 'split=3', 'batch=4'])('the answer is the text of its seed, with [[%s]]', async (words) => {
  expect(await read(`Hello [[tokens=30 seed=abc unicode ${words}]]`)).toBe(text('abc', 30, true))
})

test('a rate spreads the tokens over time', async () => {
  const started = performance.now()
  await read('[[tokens=11 rate=100]]')
  expect(performance.now() - started).toBeGreaterThanOrEqual(99)
})

test('a hundred streams are served at once', async () => {
  const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => read(`[[tokens=20 rate=100 seed=s${n}]]`)))
  expect(answers).toEqual(answers.map((_, n) => text(`s${n}`, 20)))
})

describe('what was asked', () => {
  test('is recorded with its times, and can be waited for', async () => {
    const arrival = server.waitForRequest(0)
    await read('[[tokens=2]]')
    const request = await arrival
    await server.waitForClose(0)
    expect(request).toBe(server.requests[0])
    expect(request.body.model).toBe('fake')
    expect(request.firstTokenAt).toBeGreaterThanOrEqual(request.receivedAt)
    expect(request.closedAt).toBeGreaterThanOrEqual(request.firstTokenAt!)
    expect(request).toMatchObject({ wasAborted: false, sent: 2 })
  })

  test('shows when the caller has closed the connection', async () => {
    const controller = new AbortController()
    const response = await post('[[stall=1]]', controller.signal)
    expect(server.openStreams).toBe(1)
    controller.abort()
    await expect(response.text()).rejects.toThrow('aborted')
    expect(await server.waitForClose(0)).toMatchObject({ wasAborted: true, closedAt: expect.any(Number) })
    expect(server.openStreams).toBe(0)
  })
})

describe('a script', () => {
  test('is for the next request, in order', async () => {
    server.script({ status: 503 })
    server.script({ status: 429, retryAfter: 3 })
    expect((await post('one')).status).toBe(503)
    const second = await post('two')
    expect([second.status, second.headers.get('retry-after')]).toEqual([429, '3'])
    expect((await post('three')).status).toBe(200)
  })

  test('that is a function sees the request, and words in the message go before it', async () => {
    server.script(({ body }) => ({ status: body.messages[0]!.content.includes('bad') ? 500 : 0, tokens: 2 }))
    expect((await post('bad')).status).toBe(500)
    expect(await read('good')).toBe(text('seed', 2))
    expect(await read('good [[tokens=3]]')).toBe(text('seed', 3))
  })
})

test('a message that is sent again succeeds after so many failures', async () => {
  const statuses: number[] = []
  for (let n = 0; n < 4; n++) statuses.push((await post('Hello [[failures=2]]')).status)
  expect(statuses).toEqual([500, 500, 200, 200])
})

test('stopping cuts what is under way and frees the port', async () => {
  const response = await post('[[stall=1]]')
  await server.stop()
  await expect(response.text()).rejects.toThrow('terminated')
  const again = await startFakeModelServer({ port: server.port })
  expect(again.url).toBe(server.url)
  await again.stop()
})
