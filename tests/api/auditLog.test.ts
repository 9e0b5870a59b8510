import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { buildSchema } from 'graphql'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startApp, signToken, type TestApp } from '../support/app.ts'
import { gql, officialClient, openSocket, post, refusedUpgrade, signIn, type Person } from '../support/clients.ts'
import { createSession, join, mutate, send } from '../support/operations.ts'
import { storageKinds } from '../support/storages.ts'

interface Entry {
  id: string
  createdAt: string
  action: string
  userId: string | null
  user: { name: string } | null
  address: string | null
  requestId: string | null
  sessionId: string | null
  subjectId: string | null
  outcome: string
  errorCode: string | null
  durationMs: number
  times: number
}

interface AuditPage {
  totalCount: number
  edges: { cursor: string; node: Entry }[]
  pageInfo: { hasNextPage: boolean; endCursor: string | null }
}

const document = `query Audit($filter: AuditFilter, $first: Int, $after: String) {
  auditLog(filter: $filter, first: $first, after: $after) {
    totalCount
    edges { cursor node {
      id createdAt action userId user { name } address requestId sessionId subjectId outcome errorCode durationMs times } }
    pageInfo { hasNextPage endCursor }
  }
}`

type Filter = Record<string, unknown>

const mutations = Object.keys(
  buildSchema(readFileSync(new URL('../../schema.graphql', import.meta.url), 'utf8'))
    .getMutationType()!
    .getFields(),
)

describe.each(storageKinds)('the audit log on %s', (storage) => {
  let app: TestApp
  let admin: Person
  let ada: Person

  const page = async (filter: Filter = {}, by: Person = admin, args: { first?: number; after?: string } = {}) =>
    (await gql<{ auditLog: AuditPage }>(app, document, { filter, ...args }, by)).auditLog
  const entries = async (filter: Filter = {}, by: Person = admin): Promise<Entry[]> =>
    (await page(filter, by, { first: 200 })).edges.map(({ node }) => node)

  beforeAll(async () => {
    app = await startApp({
      storage,
      env: { AUDIT_REFUSALS_PER_MINUTE: '100000', ALLOWED_ORIGINS: 'https://friend.example' },
    })
    const id = randomUUID()
    admin = { id, name: 'Root', token: await signToken({ sub: id, name: 'Root', admin: true }) }
    ada = await signIn(app)
  })
  afterAll(() => app.stop())

  describe('of mutations', () => {
    /** For each mutation, a call that works and one that does not; who is not named is Ada. */
    interface Calls {
      success: () => Promise<Asked>
      refusal: () => Promise<Asked>
    }
    interface Asked {
      input?: Filter | undefined
      by?: Person | { token: undefined }
      about?: { sessionId?: string; subjectId?: string; userId?: string }
    }
    const own = async (title = 'A session'): Promise<string> => createSession(app, ada, { title })
    const foreign = async (): Promise<string> => createSession(app, await signIn(app, 'Eve'))
    const joined = async (): Promise<{ sessionId: string; userId: string; bob: Person }> => {
      const bob = await signIn(app, 'Bob')
      const sessionId = await own()
      await join(app, ada, bob, sessionId)
      return { sessionId, userId: bob.id, bob }
    }
    const onSession =
      (input: (sessionId: string) => Filter) =>
      (make: () => Promise<string>): (() => Promise<Asked>) =>
      async () => {
        const sessionId = await make()
        return { input: input(sessionId), about: { sessionId } }
      }
    const invitation = async (sessionId: string): Promise<string> =>
      (await mutate<{ token: string }>(app, ada, 'inviteToSession', { sessionId, role: 'MEMBER' }, 'token')).token!
    const session = (input: (sessionId: string) => Filter): Calls => ({
      success: onSession(input)(own),
      refusal: onSession(input)(foreign),
    })
    const person = (more: Filter = {}): Calls => ({
      async success() {
        const { sessionId, userId } = await joined()
        return { input: { sessionId, userId, ...more }, about: { sessionId, subjectId: userId } }
      },
      async refusal() {
        const { sessionId, bob } = await joined()
        return {
          input: { sessionId, userId: ada.id, ...more },
          by: bob,
          about: { sessionId, subjectId: ada.id },
        }
      },
    })

    const calls: Record<string, Calls> = {
      signInAsGuest: {
        success: async () => ({ input: { name: 'Grace' }, by: { token: undefined } }),
        refusal: async () => ({ input: { name: '' }, by: { token: undefined } }),
      },
      signIn: {
        async success() {
          const { token, id } = await signIn(app)
          return { input: { token }, by: { token: undefined }, about: { userId: id } }
        },
        refusal: async () => ({ input: { token: 'a token that nobody made' }, by: { token: undefined } }),
      },
      signOut: {
        success: async () => ({ by: await signIn(app, 'Leaver') }),
        refusal: async () => ({ by: { token: undefined } }),
      },
      createSession: {
        success: async () => ({ input: {} }),
        refusal: async () => ({ input: { model: 'nobody/nothing' } }),
      },
      updateSession: session((sessionId) => ({ sessionId, title: 'Another' })),
      deleteSessions: session((sessionId) => ({ sessionIds: [sessionId] })),
      deleteEmptySessions: {
        success: async () => ({ by: await signIn(app, 'Tidy') }),
        refusal: async () => ({ by: { token: undefined } }),
      },
      inviteToSession: session((sessionId) => ({ sessionId, role: 'VIEWER' })),
      joinSession: {
        async success() {
          const sessionId = await own()
          const by = await signIn(app, 'Joiner')
          return { input: { token: await invitation(sessionId) }, by, about: { sessionId, subjectId: by.id } }
        },
        refusal: async () => ({ input: { token: 'there is no such token' } }),
      },
      leaveSession: {
        async success() {
          const { sessionId, bob } = await joined()
          return { input: { sessionId }, by: bob, about: { sessionId } }
        },
        refusal: onSession((sessionId) => ({ sessionId }))(own),
      },
      removeParticipant: person(),
      changeParticipantRole: person({ role: 'VIEWER' }),
      sendMessage: session((sessionId) => ({ sessionId, content: 'Hello', respond: false })),
      stopGeneration: {
        async success() {
          const sessionId = await own()
          const { generationId } = await send(app, ada, sessionId, 'Hello [[tokens=1]]')
          return { input: { generationId }, about: { sessionId, subjectId: generationId } }
        },
        async refusal() {
          const sessionId = await own()
          const { generationId } = await send(app, ada, sessionId, 'Hello [[tokens=1]]')
          return { input: { generationId }, by: await signIn(app), about: { sessionId, subjectId: generationId } }
        },
      },
      setTyping: session((sessionId) => ({ sessionId, isTyping: true })),
      createApiKey: {
        success: async () => ({ input: { name: 'script', scopes: ['READ'] } }),
        refusal: async () => ({ input: { name: 'script', scopes: [] } }),
      },
      revokeApiKey: {
        async success() {
          const { key } = await mutate<{ key: { id: string } }>(
            ...([app, ada, 'createApiKey', { name: 'old', scopes: ['READ'] }, 'key: apiKey { id }'] as const),
          )
          return { input: { id: key!.id }, about: { subjectId: key!.id } }
        },
        refusal: async () => {
          const id = randomUUID()
          return { input: { id }, about: { subjectId: id } }
        },
      },
    }

    /** Calls a mutation under a request id of its own, and gives what was noted of that. */
    async function notedOf(name: string, { input, by = ada }: Asked): Promise<Entry[]> {
      const requestId = randomUUID()
      const type = `${name[0]!.toUpperCase()}${name.slice(1)}Input`
      const query = input
        ? `mutation ($input: ${type}!) { ${name}(input: $input) { __typename } }`
        : `mutation { ${name} { __typename } }`
      const { body } = await post(app, query, { input }, { token: by.token, headers: { 'x-request-id': requestId } })
      expect(body.errors?.filter(({ extensions }) => !extensions?.code) ?? [], JSON.stringify(body)).toEqual([])
      return (await entries()).filter((entry) => entry.requestId === requestId)
    }

    test.each(mutations)('has one entry of each call that works, and one of each that is refused: %s', async (name) => {
      const call = calls[name]
      if (!call) throw new Error(`The mutation ${name} is new: say here how it works and how it is refused.`)
      for (const outcome of ['success', 'refusal'] as const) {
        const asked = await call[outcome]()
        const noted = await notedOf(name, asked)
        expect(noted, outcome).toHaveLength(1)
        expect(noted[0]).toMatchObject({
          action: name,
          outcome: outcome === 'success' ? 'SUCCEEDED' : 'FAILED',
          userId: asked.by && 'id' in asked.by ? asked.by.id : asked.by ? null : ada.id,
          address: expect.stringMatching(/127\.0\.0\.1$/),
          times: 1,
          ...asked.about,
        })
        expect(noted[0]!.errorCode === null, `${noted[0]!.errorCode}`).toBe(outcome === 'success')
      }
    })

    test('has an entry also where nothing was changed, and each of several in one document', async () => {
      const sessionId = await own()
      const { userId } = await joined()
      const requestId = randomUUID()
      await post(
        app,
        `mutation ($id: ID!, $user: ID!) {
          a: createSession(input: { id: $id, title: "A session" }) { __typename }
          b: updateSession(input: { sessionId: $id, title: "B" }) { __typename }
          c: removeParticipant(input: { sessionId: $id, userId: $user }) { __typename }
        }`,
        { id: sessionId, user: userId },
        { token: ada.token, headers: { 'x-request-id': requestId } },
      )
      const noted = (await entries()).filter((entry) => entry.requestId === requestId)
      expect(new Set(noted.map(({ action, errorCode }) => `${action} ${errorCode}`))).toEqual(
        new Set(['createSession null', 'removeParticipant NOT_FOUND', 'updateSession null']),
      )
      expect(noted).toHaveLength(3)
    })
  })

  describe('of refusals and sign-ins', () => {
    const lastOf = async (requestId: string): Promise<Entry[]> =>
      (await entries()).filter((entry) => entry.requestId?.startsWith(requestId))

    test.each([
      ['UNAUTHENTICATED', 'sessions', '{ sessions { totalCount } }', undefined],
      ['FORBIDDEN', 'stats', '{ stats(scope: ALL) { totalSessions } }', 'ada'],
      ['FORBIDDEN', 'auditLog', '{ auditLog { totalCount } }', 'ada'],
      ['NOT_FOUND', 'session', `{ session(id: "${randomUUID()}") { id } }`, 'ada'],
      ['NOT_FOUND', 'node', `{ node(id: "${randomUUID()}") { id } }`, 'ada'],
    ])('has the %s of a query: %s', async (errorCode, action, query, who) => {
      const requestId = randomUUID()
      await post(app, query, {}, { token: who && ada.token, headers: { 'x-request-id': requestId } })
      expect(await lastOf(requestId)).toMatchObject([{ action, errorCode, userId: who ? ada.id : null }])
    })

    test('has a wrong token, and an operation past a limit, but no mistake in a document', async () => {
      const ask = async (query: string, token?: string): Promise<Entry[]> => {
        const requestId = randomUUID()
        await post(app, query, {}, { token, headers: { 'x-request-id': requestId } })
        return lastOf(requestId)
      }
      expect(await ask('{ viewer { id } }', 'not.a.token')).toMatchObject([
        { action: 'signIn', errorCode: 'UNAUTHENTICATED' },
      ])
      expect(await ask(`{ viewer { ${'id '.repeat(3_000)} } }`)).toMatchObject([
        { action: 'operation', errorCode: 'INVALID_INPUT' },
      ])
      expect(await ask('{ viewer { nothing } }')).toEqual([])
      expect(await ask('{ viewer { id } }', ada.token)).toEqual([])
    })

    test('has what HTTP itself refuses: a body that is too large, and one of a form', async () => {
      const ask = async (init: RequestInit, requestId = randomUUID()): Promise<void> => {
        const headers = { 'content-type': 'application/json', 'x-request-id': requestId, ...init.headers }
        const response = await fetch(`${app.url}/graphql`, { method: 'POST', ...init, headers })
        await response.text()
        // noted once the answer is closed
        await expect.poll(() => lastOf(requestId)).toMatchObject([{ action: 'request', outcome: 'FAILED' }])
      }
      await ask({ body: JSON.stringify({ query: `{ viewer { id } } #${'x'.repeat(1_100_000)}` }) })
      await ask({ body: 'query=%7B%20viewer%20%7B%20id%20%7D%20%7D', headers: { 'content-type': 'text/plain' } })
    })

    test('has the first sight of the user of a token from outside, and no later one', async () => {
      const requestId = randomUUID()
      const sub = randomUUID()
      const token = await signToken({ sub, name: 'Newcomer' })
      for (let n = 0; n < 3; n++)
        await post(app, '{ viewer { id } }', {}, { token, headers: { 'x-request-id': requestId } })
      expect(await lastOf(requestId)).toMatchObject([{ action: 'signIn', userId: sub, outcome: 'SUCCEEDED' }])
    })

    test('has what sockets bring: sign-ins, wrong tokens, foreign origins, and refused subscriptions', async () => {
      const requestId = randomUUID()
      const headers = { 'x-request-id': requestId }
      expect(await refusedUpgrade(app, '/graphql', { headers, origin: 'https://evil.example' })).toBe(403)
      const wrong = await openSocket(app, { socket: { headers } })
      wrong.send({ type: 'connection_init', payload: { authorization: 'Bearer not.a.token' } })
      await wrong.closed
      const socket = await openSocket(app, { token: ada.token, socket: { headers } })
      socket.subscribe('1', `subscription { sessionEvents(sessionId: "${randomUUID()}") { seq } }`)
      await socket.nextOf('1')
      await socket.close()
      const noted = (await lastOf(requestId)).map((entry) => `${entry.action} ${entry.errorCode} ${entry.userId}`)
      expect(noted).toHaveLength(4)
      expect(new Set(noted)).toEqual(
        new Set([
          'connect FORBIDDEN null',
          `sessionEvents NOT_FOUND ${ada.id}`,
          'signIn UNAUTHENTICATED null',
          `signIn null ${ada.id}`,
        ]),
      )
    })
  })

  describe('to whom it is shown', () => {
    test("is everything for an admin, their session's entries for its owner, and nothing for the others", async () => {
      const [owner, member, stranger] = [await signIn(app, 'Owner'), await signIn(app, 'Member'), await signIn(app)]
      const sessionId = await createSession(app, owner)
      await join(app, owner, member, sessionId)
      await mutate(app, stranger, 'updateSession', { sessionId, title: 'Mine now' })
      const ask = async (by: Person, filter: Filter | null): Promise<string> => {
        const { body } = await post<{ auditLog: AuditPage }>(app, document, { filter }, by)
        return (body.errors?.[0]?.extensions?.code as string) ?? 'shown'
      }
      const asked = [
        [admin, null, 'shown'],
        [admin, { sessionId }, 'shown'],
        [owner, { sessionId }, 'shown'],
        [owner, null, 'FORBIDDEN'],
        [owner, { userId: owner.id }, 'FORBIDDEN'],
        [member, { sessionId }, 'FORBIDDEN'],
        [stranger, { sessionId }, 'NOT_FOUND'],
        [owner, { sessionId: randomUUID() }, 'NOT_FOUND'],
        [owner, { sessionId: 'no id' }, 'NOT_FOUND'],
      ] as const
      for (const [by, filter, expected] of asked)
        expect([by.name, filter, await ask(by, filter)]).toEqual([by.name, filter, expected])
      expect(await ask({ ...owner, token: '' }, { sessionId })).toBe('UNAUTHENTICATED')

      const shown = await entries({ sessionId }, owner)
      expect(new Set(shown.map((entry) => entry.sessionId))).toEqual(new Set([sessionId]))
      const byAction = Object.fromEntries(shown.map((entry) => [entry.action, entry]))
      expect(byAction.createSession).toMatchObject({ user: { name: 'Owner' }, address: expect.any(String) })
      // where the others are, and who is not in the session, is not the owner's to know
      expect(byAction.joinSession).toMatchObject({ user: { name: 'Member' }, address: null })
      expect(byAction.updateSession).toMatchObject({ userId: stranger.id, user: null, errorCode: 'NOT_FOUND' })
    })

    test('is filtered by user, session, action, outcome, code and time, and refuses what can be none of these', async () => {
      const someone = await signIn(app, 'Someone')
      const sessionId = await createSession(app, someone)
      const between = new Date()
      await expect.poll(() => Date.now() > between.getTime()).toBe(true)
      await mutate(app, someone, 'updateSession', { sessionId, title: 'New' })
      await mutate(app, someone, 'updateSession', { sessionId, title: '' })
      const userId = someone.id
      const actions = async (filter: Filter) => (await entries(filter)).map(({ action }) => action)
      expect(await actions({ userId })).toEqual(['updateSession', 'updateSession', 'createSession'])
      expect(await actions({ sessionId, action: 'createSession' })).toEqual(['createSession'])
      expect(await actions({ userId, outcome: 'FAILED' })).toEqual(['updateSession'])
      expect(await actions({ userId, outcome: 'SUCCEEDED' })).toEqual(['updateSession', 'createSession'])
      expect(await actions({ userId, errorCode: 'INVALID_INPUT' })).toEqual(['updateSession'])
      expect(await actions({ userId, errorCode: 'CONFLICT' })).toEqual([])
      expect(await actions({ userId, to: between.toISOString() })).toEqual(['createSession'])
      expect(await actions({ userId, from: between.toISOString(), action: 'updateSession' })).toHaveLength(2)
      for (const filter of [{ userId: 'x' }, { from: 'yesterday' }, { to: 12 }, { action: '' }]) {
        const { body } = await post(app, document, { filter }, admin)
        expect([filter, body.errors?.[0]?.extensions]).toEqual([
          filter,
          expect.objectContaining({ code: 'INVALID_INPUT', fields: [expect.objectContaining({})] }),
        ])
      }
    })

    test('comes in pages, newest first, each entry once, also where more is noted meanwhile', async () => {
      const someone = await signIn(app, 'Busy')
      const sessionId = await createSession(app, someone)
      for (let n = 0; n < 12; n++) await mutate(app, someone, 'updateSession', { sessionId, title: `${n}` })
      const seen: Entry[] = []
      let after: string | undefined
      for (let hasNext = true; hasNext;) {
        const { edges, pageInfo } = await page({ sessionId }, someone, { first: 5, after })
        seen.push(...edges.map(({ node }) => node))
        hasNext = pageInfo.hasNextPage
        after = pageInfo.endCursor!
        await mutate(app, someone, 'updateSession', { sessionId, title: 'meanwhile' })
      }
      expect(seen).toHaveLength(13)
      expect(new Set(seen.map(({ id }) => id)).size).toBe(13)
      const ids = seen.map(({ id }) => id)
      expect([...ids].sort().reverse()).toEqual(ids)
      expect((await page({ sessionId }, someone, { first: 0 })).totalCount).toBe(16)
      const { body } = await post(app, document, { filter: { sessionId }, after: 'bm90IG9uZQ' }, someone)
      expect(body.errors?.[0]?.extensions?.code).toBe('INVALID_INPUT')
    })
  })

  test('a request has an id: its own where that is sane, in its answer, its entries and the call of the model', async () => {
    const sessionId = await createSession(app, ada)
    const ask = async (id: string | undefined) => {
      const headers: Record<string, string> = id === undefined ? {} : { 'x-request-id': id }
      const query = `mutation ($input: SendMessageInput!) { sendMessage(input: $input) { __typename } }`
      const before = app.fake.requests.length
      const answer = await post(app, query, { input: { sessionId, content: 'Hello' } }, { token: ada.token, headers })
      const { headers: forwarded } = await app.fake.waitForRequest(before)
      return [answer.headers.get('x-request-id'), forwarded['x-request-id']]
    }
    expect(await ask('my-id_1.2')).toEqual(['my-id_1.2', 'my-id_1.2'])
    const made = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/
    for (const id of [undefined, 'two words', 'x'.repeat(129), 'a"b', '{}'])
      expect(await ask(id)).toEqual([expect.stringMatching(made), expect.stringMatching(made)])
    expect(await entries({ sessionId, action: 'sendMessage' })).toContainEqual(
      expect.objectContaining({ requestId: 'my-id_1.2' }),
    )
    for (const path of ['/health/live', '/nothing'])
      expect((await fetch(`${app.url}${path}`)).headers.get('x-request-id')).toMatch(made)
  })

  test('a socket has an id, and each of its operations another', async () => {
    const client = officialClient(app, ada.token, { lazy: false })
    const sessionId = await createSession(app, ada)
    const sent: string[] = []
    for (let n = 0; n < 2; n++) {
      const before = app.fake.requests.length
      const answers = client.iterate({
        query: `mutation ($input: SendMessageInput!) { sendMessage(input: $input) { __typename } }`,
        variables: { input: { sessionId, content: 'Hello' } },
      })
      await answers.next()
      sent.push(String((await app.fake.waitForRequest(before)).headers['x-request-id']))
      await answers.return?.()
    }
    await client.dispose()
    expect(new Set(sent).size).toBe(2)
    expect(new Set(sent.map((id) => id.split('.')[0])).size).toBe(1)
  })
})
