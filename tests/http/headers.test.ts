import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { post } from '../support/clients.ts'

let app: TestApp
let behind: TestApp
beforeAll(async () => {
  const clientFolder = new URL('../../client', import.meta.url).pathname
  ;[app, behind] = await Promise.all([startApp({ parts: { clientFolder } }), startApp({ env: { TRUST_PROXY: '1' } })])
})
afterAll(async () => {
  await Promise.all([app?.stop(), behind?.stop()])
})

const always = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': expect.stringContaining('camera=()'),
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'content-security-policy': expect.stringMatching(/^default-src 'none'; .*frame-ancestors 'none'$/),
}

const json = { 'content-type': 'application/json' }
const answers: [string, string, RequestInit?][] = [
  ['the page', '/'],
  ['a page within it', '/sessions/any'],
  ['a file', '/public/favicon.svg'],
  ['GraphiQL', '/graphql', { headers: { accept: 'text/html' } }],
  ['an operation', '/graphql', { method: 'POST', headers: json, body: '{"query":"{ __typename }"}' }],
  ['a refused one', '/graphql', { method: 'POST', headers: json, body: '{"query":"{ nothing }"}' }],
  ['a body that is none', '/graphql', { method: 'POST', headers: json, body: '{' }],
  ['a form', '/graphql', { method: 'POST', body: new URLSearchParams({ query: '{ __typename }' }) }],
  ['another method', '/graphql', { method: 'DELETE' }],
  ['health', '/health/live'],
  ['readiness', '/health/ready'],
]

describe('every answer', () => {
  it.each(answers)('says what browsers may do with it: %s', async (_what, path, init) => {
    const response = await fetch(app.url + path, init)
    await response.body?.cancel()
    expect(Object.fromEntries(response.headers)).toMatchObject(always)
    expect(response.headers.get('strict-transport-security')).toBeNull()
    expect(response.headers.get('x-powered-by')).toBeNull()
  })

  it('says to stay with https where it came by that to a proxy of ours, and else nothing of it', async () => {
    const hsts = async (server: TestApp, proto: string): Promise<string | null> =>
      (await post(server, '{ __typename }', {}, { headers: { 'x-forwarded-proto': proto } })).headers.get(
        'strict-transport-security',
      )
    expect(await hsts(behind, 'https')).toMatch(/^max-age=\d{8,}$/)
    expect(await hsts(behind, 'http')).toBeNull()
    expect(await hsts(app, 'https')).toBeNull()
  })
})

describe('the policy of', () => {
  const policyOf = async (path: string, headers = {}): Promise<string> => {
    const response = await fetch(app.url + path, { headers })
    await response.body?.cancel()
    return response.headers.get('content-security-policy')!
  }

  it('the page lets nothing run, apply or load that is not a file of ours', async () => {
    const policy = await policyOf('/')
    expect(policy).not.toMatch(/unsafe|https?:|\*|blob:/)
    expect(policy).toContain("script-src 'self'")
    expect(policy).toContain("require-trusted-types-for 'script'")
  })

  it('GraphiQL lets only the one script run that it has', async () => {
    const policy = await policyOf('/graphql', { accept: 'text/html' })
    expect(policy).toMatch(/script-src 'sha256-[\w+/]{43}='; /)
    expect(policy).not.toMatch(/https?:|\*|unsafe-eval/)
  })

  it('what is no page lets nothing happen at all', async () => {
    expect(await policyOf('/health/live')).toBe(
      "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    )
  })
})

describe('GET /graphql', () => {
  const query = `/graphql?${new URLSearchParams({ query: '{ __typename }' })}`

  it('answers queries of programs and of our own pages in development', async () => {
    const ways: Record<string, string>[] = [{}, { 'sec-fetch-site': 'same-origin' }, { 'sec-fetch-site': 'none' }]
    for (const headers of ways)
      expect(await (await fetch(app.url + query, { headers })).json()).toEqual({ data: { __typename: 'Query' } })
  })

  it.each(['cross-site', 'same-site'])(
    'answers none that a page of another origin links to or shows: %s',
    async (site) => {
      const response = await fetch(app.url + query, { headers: { 'sec-fetch-site': site } })
      expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST'])
    },
  )

  it('answers none in production, unless it is switched on, and never a mutation', async () => {
    const off = await startApp({ env: { NODE_ENV: 'production' } })
    const on = await startApp({ env: { NODE_ENV: 'production', GET_QUERIES: 'on' } })
    try {
      expect((await fetch(off.url + query)).status).toBe(405)
      expect((await fetch(off.url + query, { headers: { accept: 'text/event-stream' } })).status).toBe(405)
      expect((await fetch(on.url + query)).status).toBe(200)
      const mutation = `/graphql?${new URLSearchParams({ query: 'mutation { deleteEmptySessions { __typename } }' })}`
      for (const { url } of [off, on, app]) expect((await fetch(url + mutation)).status).toBe(405)
    } finally {
      await Promise.all([off.stop(), on.stop()])
    }
  })

  it.each(['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD', 'PROPFIND'])('is no %s', async (method) => {
    const response = await fetch(app.url + query, { method })
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST'])
    expect(response.headers.get('access-control-allow-origin')).toBeNull()
  })
})

it('a request that is no HTTP ends, and the server goes on', async () => {
  for (const bytes of [
    'nonsense\r\n\r\n',
    'GET / HTTP/9.9\r\n\r\n',
    `GET / HTTP/1.1\r\nHost: x\r\nA: ${'x'.repeat(100_000)}\r\n\r\n`,
  ]) {
    const answer = await new Promise<string>((resolve) => {
      let text = ''
      const socket = connect(app.port, '127.0.0.1', () => socket.write(bytes))
      socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      socket.on('error', () => undefined).on('close', () => resolve(text))
    })
    expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /)
    expect(answer).not.toMatch(/\bat \b|node_modules/)
  }
  expect((await fetch(`${app.url}/health/live`)).status).toBe(200)
})
