import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { signToken, type TestApp } from '../support/app.ts'
import {
  document,
  readEntries,
  readPage,
  startAudited,
  type AuditPage,
  type Entry,
  type Filter,
} from '../support/auditLog.ts'
import { officialClient, openSocket, post, refusedUpgrade, signIn, type Person } from '../support/clients.ts'
import { createSession, join, mutate } from '../support/operations.ts'
import { storageKinds } from '../support/storages.ts'

describe.each(storageKinds)('the audit log on %s', (storage) => {
  let app: TestApp
  let admin: Person
  let ada: Person

  const page = (filter: Filter = {}, by = admin, args: { first?: number; after?: string } = {}) =>
    readPage(app, by, filter, args)
  const entries = (filter: Filter = {}, by = admin) => readEntries(app, by, filter)

  beforeAll(async () => void ({ app, admin, ada } = await startAudited(storage)))
  afterAll(() => app.stop())

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
    test('of a session that is deleted is not for whoever makes another one under its id, but still for an admin', async () => {
      const [owner, member, heir] = [await signIn(app), await signIn(app), await signIn(app)]
      const id = randomUUID()
      await createSession(app, owner, { id })
      await join(app, owner, member, id)
      await mutate(app, owner, 'updateSession', { sessionId: id, title: 'Before' })
      await mutate(app, owner, 'deleteSessions', { sessionIds: [id] })
      expect(await createSession(app, heir, { id })).toBe(id)
      await mutate(app, heir, 'updateSession', { sessionId: id, title: 'After' })
      const { edges, totalCount } = await page({ sessionId: id }, heir)
      expect(edges.map(({ node }) => [node.action, node.userId])).toEqual([
        ['updateSession', heir.id],
        ['createSession', heir.id],
      ])
      expect(totalCount).toBe(2)
      expect(await entries({ sessionId: id, from: '2020-01-01T00:00:00Z', userId: owner.id }, heir)).toEqual([])
      expect((await entries({ sessionId: id, userId: owner.id })).map(({ action }) => action)).toContain(
        'deleteSessions',
      )
    })

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
