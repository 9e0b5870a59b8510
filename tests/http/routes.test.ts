import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { signToken, startApp, type TestApp } from '../support/app.ts'
import { post, signIn } from '../support/clients.ts'

let app: TestApp
let production: TestApp
beforeAll(async () => {
  ;[app, production] = await Promise.all([startApp(), startApp({ env: { NODE_ENV: 'production' } })])
})
afterAll(async () => {
  await Promise.all([app?.stop(), production?.stop()])
})

const asBrowser = { headers: { accept: 'text/html,application/xhtml+xml' } }
const introspect = '{ __schema { queryType { name } } }'

describe('health', () => {
  it('is 200 for a server that runs and has its database', async () => {
    const [live, ready] = await Promise.all([fetch(`${app.url}/health/live`), fetch(`${app.url}/health/ready`)])
    expect([live.status, await live.json()]).toEqual([200, { status: 'live' }])
    expect([ready.status, await ready.json()]).toEqual([200, { status: 'healthy' }])
  })

  it('is 503 to be ready where the database is gone, and the process still lives', async () => {
    const other = await startApp()
    try {
      await other.services.storage.close()
      expect((await fetch(`${other.url}/health/ready`)).status).toBe(503)
      expect((await fetch(`${other.url}/health/live`)).status).toBe(200)
    } finally {
      await other.stop().catch(() => undefined)
    }
  })

  it('is still ready where only the model servers are gone', async () => {
    const other = await startApp({ env: { LOCAL_BASE_URL: 'http://127.0.0.1:9/v1' } })
    try {
      expect((await fetch(`${other.url}/health/ready`)).status).toBe(200)
    } finally {
      await other.stop()
    }
  })
})

describe('paths', () => {
  it.each(['/', '/nothing', '/graphql/', '/graphqlx', '/../../etc/passwd', '/%00'])(
    'are 404 where there is nothing: %s',
    async (path) => {
      const response = await fetch(`${app.url}${path}`)
      expect(response.status).toBe(404)
      expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    },
  )

  it('serve the web client with a policy that lets no foreign script run', async () => {
    const folder = new URL('../../client', import.meta.url).pathname
    const other = await startApp({ parts: { clientFolder: folder } })
    try {
      const page = await fetch(`${other.url}/sessions/any`, asBrowser)
      expect(page.status).toBe(200)
      expect(page.headers.get('content-security-policy')).toContain("script-src 'self'")
      expect(await page.text()).toContain('<html')

      for (const [path, accept] of [
        ['/api/nope', '*/*'],
        ['/sessions/any', 'application/json'],
        ['/assets/nope.js', '*/*'],
        ['/%00', '*/*'],
      ] as const) {
        const nothing = await fetch(`${other.url}${path}`, { headers: { accept } })
        expect([path, nothing.status, nothing.headers.get('content-type')]).toEqual([
          ...[path, 404, 'application/json; charset=utf-8'],
        ])
        expect(await nothing.json()).toEqual({ error: 'There is nothing here. The API is at /graphql.' })
      }
      // whatever is there is given to everyone
      for (const path of ['/', '/index.html', '/src/main.tsx'])
        expect([path, (await fetch(`${other.url}${path}`, { headers: { accept: '*/*' } })).status]).toEqual([path, 200])
    } finally {
      await other.stop()
    }
  })
})

/** What a server answers to bytes that no client library would send. */
function answerTo({ port }: TestApp, request: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(request))
    let answer = ''
    socket.setEncoding('utf8').on('data', (text: string) => (answer += text))
    socket.on('error', reject).on('close', () => resolve(answer))
  })
}

describe('a Host header', () => {
  const body = '{"query":"{ __typename }"}'
  let anyHost: TestApp
  beforeAll(async () => void (anyHost = await startApp({ env: { ALLOWED_HOSTS: '*' } })))
  afterAll(() => anyHost?.stop())
  const ask = (host: string) =>
    answerTo(
      anyHost,
      `POST /graphql HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nAccept: application/json\r\n` +
        `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
    )

  it.each(['a b', '[', '%', ':99999', 'x:y'])('that is none is answered by 400 and no stack: %s', async (host) => {
    const answer = await ask(host)
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toContain(
      '{"errors":[{"message":"The Host header is not the name of a host.","extensions":{"code":"INVALID_INPUT"}}]}',
    )
    expect(answer).not.toMatch(/\bat \b|node_modules|TypeError/)
    expect(anyHost.logged).toEqual([])
  })

  it.each(['', 'any.example:80', '[::1]:4000'])(
    'of whatever name or address, or of none, is taken where any is allowed: %s',
    async (host) => {
      expect(await ask(host)).toMatch(/^HTTP\/1\.1 200 /)
    },
  )
})

describe('GraphiQL', () => {
  it('is one page that asks nobody else for anything', async () => {
    const response = await fetch(`${app.url}/graphql`, asBrowser)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toContain('text/html')
    const page = await response.text()
    // what stands inside a script is text of the program, and no tag of the page
    const tags = page.replaceAll(/(<script\b[^>]*>)[\s\S]*?<\/script>/gi, '$1')
    const loaded = [...tags.matchAll(/<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)\s*=\s*["']?([^"'\s>]+)/gi)]
      .map(([, source]) => source!)
      .filter((source) => !source.startsWith('data:'))
    expect(loaded).toEqual([])
    expect(page).not.toMatch(/unpkg\.com|jsdelivr|esm\.sh|cdnjs/)
    expect(page).toContain('sessionEvents')
  })

  it('is off in production, and where it is switched off', async () => {
    const off = await startApp({ env: { GRAPHIQL: 'off' } })
    const on = await startApp({ env: { GRAPHIQL: 'on', NODE_ENV: 'production' } })
    try {
      for (const [{ url }, isServed] of [
        [production, false],
        [off, false],
        [on, true],
      ] as const) {
        const response = await fetch(`${url}/graphql`, asBrowser)
        expect((await response.text()).includes('<html')).toBe(isServed)
      }
    } finally {
      await Promise.all([off.stop(), on.stop()])
    }
  })
})

describe('introspection', () => {
  it('is open to everyone but in production', async () => {
    expect((await post(app, introspect)).body.data).toEqual({ __schema: { queryType: { name: 'Query' } } })
  })

  it('is closed to the anonymous in production, by fragments and aliases too, and open to who is signed in', async () => {
    for (const query of [
      introspect,
      'query { a: __type(name: "User") { name } }',
      `{ ...F } fragment F on Query { __schema { types { name } } }`,
    ]) {
      const { body } = await post(production, query)
      expect(body.data ?? null).toBeNull()
      expect(body.errors?.[0]).toMatchObject({
        message: expect.stringMatching(/introspection/i),
        extensions: { code: 'FORBIDDEN' },
      })
    }
    expect((await post(production, '{ __typename viewer { __typename } }')).body.data).toEqual({
      __typename: 'Query',
      viewer: null,
    })
    const { token } = await signIn(production)
    expect((await post(production, introspect, {}, { token })).body.errors).toBeUndefined()
  })

  it('leaks no names to the anonymous in production by suggestions', async () => {
    for (const [query, variables] of [
      ['{ sesion(id: "x") { id } }', {}],
      [
        'mutation ($input: SignInAsGuestInput!) { signInAsGuest(input: $input) { __typename } }',
        { input: { name: 'x', nam: 'x' } },
      ],
    ] as const) {
      expect((await post(app, query, variables)).body.errors?.[0]?.message).toMatch(/did you mean/i)
      const { body } = await post(production, query, variables)
      expect(body.errors?.[0]?.message).toBeTruthy()
      expect(JSON.stringify(body)).not.toMatch(/did you mean/i)
    }
  })
})

describe('who asks', () => {
  const viewer = '{ viewer { id name isAdmin } }'

  it('is nobody without a token', async () => {
    expect((await post(app, viewer)).body).toEqual({ data: { viewer: null } })
  })

  it('is whom a token names, whoever signed it with our secret', async () => {
    const token = await signToken({ sub: 'auth0|17', name: 'Grace', admin: true })
    const { body } = await post<{ viewer: object }>(app, viewer, {}, { token })
    expect(body.data?.viewer).toMatchObject({ name: 'Grace', isAdmin: true })
    const again = await post(
      app,
      viewer,
      {},
      { token: await signToken({ sub: 'auth0|17', name: 'Grace', admin: true }) },
    )
    expect(again.body).toEqual(body)
  })

  it.each([
    ['is no JWT', 'Bearer nonsense'],
    ['is not there', 'Bearer'],
    ['is empty', 'Bearer  '],
    ['and all of the header is empty', ''],
    ['has no scheme', 'eyJhbGciOiJIUzI1NiJ9.e30.x'],
    ['is of another scheme', 'Basic YTpi'],
    ['is unsigned', 'Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIiwiZXhwIjo5OTk5OTk5OTk5fQ.'],
  ])('is refused with 401 where the token %s', async (_what, authorization) => {
    const { status, body } = await post(app, viewer, {}, { headers: { authorization } })
    expect(status).toBe(401)
    expect(body.errors?.[0]?.extensions?.code).toBe('UNAUTHENTICATED')
    expect(body.data ?? null).toBeNull()
  })

  it('is refused with 401 where the token has expired or was changed', async () => {
    const good = await signToken({ sub: 'someone' })
    for (const token of [await signToken({ sub: 'someone' }, -10), `${good.slice(0, -4)}AAAA`]) {
      const { status, body } = await post(app, viewer, {}, { token })
      expect([status, body.errors?.[0]?.extensions?.code]).toEqual([401, 'UNAUTHENTICATED'])
    }
  })
})
