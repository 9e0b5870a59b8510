import { request } from 'node:http'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { gql, openSocket, post, signIn } from '../support/clients.ts'
import { createSession, mutate, send } from '../support/operations.ts'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}
const document = `{ server { version auth features defaultModel { id name provider { name } } limits {
  messageCharacters titleCharacters metadataBytes messagesPerMinute generationsAtOnce fileBytes } } }`

describe('what a server says of itself', () => {
  let app: TestApp
  beforeAll(async () => {
    const env = { NODE_ENV: 'production', RATE_LIMIT_PER_MINUTE: '30', MAX_TITLE_CHARACTERS: '100' }
    app = await startApp({ env: { ...env, MAX_API_KEYS_PER_USER: '0', MAX_CONCURRENT_GENERATIONS: '7' } })
  })
  afterAll(() => app?.stop())

  it('is told to the anonymous in production too, as the settings have it', async () => {
    expect(await gql(app, document)).toEqual({
      server: {
        version,
        auth: 'guest',
        features: ['auditLog', 'invitations', 'presence', 'typing'],
        defaultModel: { id: 'local/fake', name: 'fake', provider: { name: 'local' } },
        limits: {
          ...{ messageCharacters: 32_000, titleCharacters: 100, metadataBytes: 16_384 },
          ...{ messagesPerMinute: 30, generationsAtOnce: 7, fileBytes: null },
        },
      },
    })
  })

  it('leads the anonymous no further: the models of a provider are for those who are signed in', async () => {
    const further = '{ server { defaultModel { provider { models { id } } } } }'
    expect((await post(app, further)).body.errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }])
    expect((await post(app, further, {}, await signIn(app))).body.errors).toBeUndefined()
  })
})

it('a server whose only configured model is away has no default one, and answers all the same', async () => {
  const app = await startApp({ env: { DEFAULT_MODEL: 'local/away' } })
  try {
    const { server } = await gql<{ server: { features: string[]; defaultModel: object } }>(app, document)
    expect(server.features).toContain('apiKeys')
    expect(server.defaultModel).toMatchObject({ id: 'local/away' })
  } finally {
    await app.stop()
  }
})

describe('the link of an invitation', () => {
  const invite = `mutation ($id: ID!) { inviteToSession(input: { sessionId: $id }) { ... on InviteToSessionSuccess { token url } } }`
  interface Invited {
    inviteToSession: { token: string; url: string }
  }

  /** Asks with any headers, `host` as well, which `fetch` does not let one set. */
  const ask = (app: TestApp, token: string, id: string, headers: Record<string, string>): Promise<Invited> =>
    new Promise((resolve, reject) => {
      const body = JSON.stringify({ query: invite, variables: { id } })
      const asked = request(`${app.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers },
      })
      asked.on('error', reject).on('response', (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (part: string) => (text += part))
        response.on('end', () => resolve((JSON.parse(text) as { data: Invited }).data))
      })
      asked.end(body)
    })

  it.each([
    ['as it was asked', 0, {}, null],
    ['by the name that was asked', 0, { host: 'localhost:81' }, 'http://localhost:81'],
    [
      'not as a stranger writes into headers of proxies',
      0,
      { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' },
      null,
    ],
    [
      'as its proxy was asked',
      1,
      { 'x-forwarded-host': 'evil.example, chat.example', 'x-forwarded-proto': 'http, https' },
      'https://chat.example',
    ],
    [
      'by the Host that its proxy hands on',
      1,
      { host: 'localhost:82', 'x-forwarded-proto': 'https' },
      'https://localhost:82',
    ],
    ['by no name that is none', 1, { 'x-forwarded-host': 'a/../b?c#', 'x-forwarded-proto': 'https' }, 'own https'],
  ])('leads to the page %s', async (_how, hops, headers, wanted) => {
    const app = await startApp({ env: { TRUST_PROXY: String(hops) } })
    try {
      const ada = await signIn(app)
      const sessionId = await createSession(app, ada)
      const { token, url } = (await ask(app, ada.token, sessionId, headers as Record<string, string>)).inviteToSession
      const origin = wanted === null ? app.url : wanted === 'own https' ? app.url.replace('http:', 'https:') : wanted
      expect(url).toBe(`${origin}/join#token=${encodeURIComponent(token)}`)
    } finally {
      await app.stop()
    }
  })

  it('is the same over a WebSocket, and lets whoever opens it join', async () => {
    const app = await startApp()
    try {
      const [ada, bob] = [await signIn(app), await signIn(app)]
      const sessionId = await createSession(app, ada)
      const socket = await openSocket(app, { token: ada.token })
      socket.subscribe('1', invite, { id: sessionId })
      const { url } = ((await socket.nextOf('1')).payload as { data: Invited }).data.inviteToSession
      await socket.close()
      const { origin, pathname, hash } = new URL(url)
      expect([origin, pathname]).toEqual([app.url, '/join'])
      const token = new URLSearchParams(hash.slice(1)).get('token')!
      expect(await mutate(app, bob, 'joinSession', { token })).toMatchObject({ __typename: 'JoinSessionSuccess' })
    } finally {
      await app.stop()
    }
  })
})

describe('small things that clients missed', () => {
  let app: TestApp
  beforeAll(async () => void (app = await startApp()))
  afterAll(() => app?.stop())

  it('a guest is told when their token ends, in a cookie or not', async () => {
    for (const keepInCookie of [false, true]) {
      const { signInAsGuest } = await gql<{ signInAsGuest: { expiresAt: string } }>(
        app,
        `mutation ($keep: Boolean!) { signInAsGuest(input: { name: "Ada", keepInCookie: $keep }) { ... on SignInAsGuestSuccess { expiresAt } } }`,
        { keep: keepInCookie },
      )
      const days = (Date.parse(signInAsGuest.expiresAt) - Date.now()) / 86_400_000
      expect(days).toBeGreaterThan(29.9)
      expect(days).toBeLessThan(30.1)
    }
  })

  it('a new session comes as the entry of the list that it will be', async () => {
    const ada = await signIn(app)
    const made = await mutate<{ session: { id: string }; edge: object }>(
      ...([app, ada, 'createSession', { title: 'First' }, 'session { id } edge { cursor node { id title } }'] as const),
    )
    const { sessions } = await gql<{ sessions: { edges: object[] } }>(
      app,
      '{ sessions { edges { cursor node { id title } } } }',
      {},
      ada,
    )
    expect(sessions.edges).toEqual([made.edge])
  })

  it('a page has its nodes beside its edges, and the participants have ids of their own', async () => {
    const ada = await signIn(app)
    const sessionId = await createSession(app, ada)
    const { sentId } = await send(app, ada, sessionId, 'Hello', { respond: false })
    const { session } = await gql(
      app,
      'query ($id: ID!) { session(id: $id) { messages { nodes { id content } } participants { id user { id } } } }',
      { id: sessionId },
      ada,
    )
    expect(session).toEqual({
      messages: { nodes: [{ id: sentId, content: 'Hello' }] },
      participants: [{ id: `${sessionId}:${ada.id}`, user: { id: ada.id } }],
    })
  })

  it("a person's message has a position for messageDeltas too", async () => {
    const ada = await signIn(app)
    const sessionId = await createSession(app, ada)
    const { sentId } = await send(app, ada, sessionId, 'Hello', { respond: false })
    const socket = await openSocket(app, { token: ada.token })
    socket.subscribe('1', 'subscription ($id: ID!) { messageDeltas(messageId: $id) { seq text } }', { id: sentId })
    expect((await socket.nextOf('1')).payload).toEqual({ data: { messageDeltas: { seq: 1, text: 'Hello' } } })
    await socket.close()
  })
})
