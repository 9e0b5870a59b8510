import { once } from 'node:events'
import { request, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'

const page = 'https://app.example.org'
let app: TestApp
let open: TestApp
beforeAll(async () => {
  ;[app, open] = await Promise.all([
    startApp({
      env: {
        ALLOWED_ORIGINS: page,
        ALLOWED_HOSTS: 'chat.example.org',
        METRICS_TOKEN: 'a token of 16 or more'.replaceAll(' ', '-'),
      },
    }),
    startApp({ env: { ALLOWED_HOSTS: '*' } }),
  ])
})
afterAll(() => Promise.all([app?.stop(), open?.stop()]))

interface Answer {
  status: number
  headers: IncomingMessage['headers']
  body: string
}

const json = { 'content-type': 'application/json' }
const query = JSON.stringify({ query: '{ __typename }' })

/** By Node's own client, which sends any header. */
async function send(
  to: TestApp,
  {
    method = 'POST',
    path = '/graphql',
    headers = {},
    body,
  }: { method?: string; path?: string; headers?: OutgoingHttpHeaders; body?: string },
): Promise<Answer> {
  const sent = request(`${to.url}${path}`, { method, headers, agent: false })
  sent.end(body)
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  return { status: response.statusCode!, headers: response.headers, body: await text(response) }
}

const preflight = (origin: string) =>
  send(app, {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type',
    },
  })

describe('a page of a listed origin', () => {
  it('is answered at the preflight', async () => {
    const { status, headers } = await preflight(page)
    expect(status).toBe(204)
    expect(headers).toMatchObject({
      'access-control-allow-origin': page,
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'POST, OPTIONS',
      'access-control-allow-headers': 'authorization,content-type',
    })
    expect(headers.vary).toContain('Origin')
    expect(Number(headers['access-control-max-age'])).toBeGreaterThan(0)
  })

  it.each([
    ['an answer', json, query, 200],
    ['a refused kind of body', { 'content-type': 'text/plain' }, query, 415],
    ['a body that is not JSON', json, '{', 400],
    ['a wrong token', { ...json, authorization: 'Bearer nonsense' }, query, 401],
    ['an event stream', { ...json, accept: 'text/event-stream' }, query, 200],
  ])('may read %s', async (_name, headers, body, status) => {
    const answer = await send(app, { headers: { ...headers, origin: page }, body })
    expect(answer.status).toBe(status)
    expect(answer.headers).toMatchObject({
      'access-control-allow-origin': page,
      'access-control-allow-credentials': 'true',
    })
    expect(answer.headers.vary).toContain('Origin')
  })
})

it.each(['https://evil.example', 'https://app.example.org.evil.example', 'http://app.example.org', 'null'])(
  'a page of an origin that is not listed is told nothing: %s',
  async (origin) => {
    for (const answer of [await preflight(origin), await send(app, { headers: { ...json, origin }, body: query })]) {
      expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([])
      expect(answer.headers.vary).toContain('Origin')
    }
  },
)

describe('on loopback', () => {
  it.each(['evil.example', 'evil.example:4000', '127.0.0.1.evil.example', 'localhost.evil.example', 'x@127.0.0.1'])(
    'a request for the host "%s" is refused, and says what to set',
    async (host) => {
      for (const path of ['/graphql', '/', '/metrics', '/health/live']) {
        const { status, body } = await send(app, {
          path,
          headers: { ...json, host, origin: `http://${host}` },
          body: query,
        })
        expect(status).toBe(421)
        expect(body).toContain('ALLOWED_HOSTS')
      }
    },
  )

  it.each([
    'localhost',
    'LOCALHOST:4000',
    '127.0.0.1',
    '127.1.2.3:80',
    '[::1]:4000',
    'chat.example.org',
    'chat.example.org:443',
  ])('a request for the host "%s" is taken', async (host) => {
    expect((await send(app, { headers: { ...json, host }, body: query })).status).toBe(200)
  })

  it('a WebSocket for a foreign host is refused, and says what to set', async () => {
    const headers = {
      host: 'evil.example:4000',
      origin: 'http://evil.example:4000',
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
    }
    const { status, body } = await send(app, { method: 'GET', headers })
    expect(status).toBe(421)
    expect(body).toContain('ALLOWED_HOSTS')
  })

  it('any host is taken where ALLOWED_HOSTS is *', async () => {
    expect((await send(open, { headers: { ...json, host: 'any.example' }, body: query })).status).toBe(200)
  })

  it('a foreign host is no matter to whoever has the token of /metrics, where the server listens further', async () => {
    const { status } = await send(open, { method: 'GET', path: '/metrics', headers: { host: 'any.example' } })
    expect(status).toBe(200)
  })
})

it.each(['h2c', 'TLS/1.0', 'nonsense'])(
  'an offer to upgrade to %s is declined and the request answered',
  async (upgrade) => {
    const headers = { ...json, connection: 'Upgrade, HTTP2-Settings', upgrade, 'http2-settings': 'AAMAAABkAAQAAP__' }
    const { status, body } = await send(app, { headers, body: query })
    expect([status, JSON.parse(body)]).toEqual([200, { data: { __typename: 'Query' } }])
  },
)
