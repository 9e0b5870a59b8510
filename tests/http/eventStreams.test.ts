import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, signToken, type TestApp } from '../support/app.ts'
import { gql, signIn, type Person } from '../support/clients.ts'
import { text } from '../support/fakeModelServer.ts'
import { createSession, join, mutate, readMessage, send } from '../support/operations.ts'
import { openStream } from './eventStream.ts'

let app: TestApp
let ada: Person
beforeAll(async () => {
  app = await startApp()
  ada = await signIn(app)
})
afterAll(() => app?.stop())

const follow = `subscription ($sessionId: ID!, $after: Int) { sessionEvents(sessionId: $sessionId, after: $after) {
  __typename seq
  ... on MessageDelta { messageId offset text }
  ... on GenerationEnded { message { id content status } }
} }`

interface Event {
  __typename: string
  seq: number | null
  messageId?: string
  offset?: number
  text?: string
  message?: { id: string; content: string; status: string }
}
const eventOf = (data: unknown): Event => (data as { data: { sessionEvents: Event } }).data.sessionEvents

describe.each(['POST', 'GET'] as const)('a subscription as an event stream by %s', (method) => {
  it('gives the stored events, then the live ones, and goes on after a cut without a hole or a repeat', async () => {
    const sessionId = await createSession(app, ada)
    const first = await send(app, ada, sessionId, 'one [[tokens=5 seed=one]]')
    const stream = await openStream(app, {
      method,
      token: ada.token,
      query: follow,
      variables: { sessionId, after: 0 },
    })
    const events: Event[] = []
    const read = async (from: Awaited<ReturnType<typeof openStream>>, isLast: (event: Event) => boolean) => {
      while (true) {
        const { event, data } = await from.next()
        expect(event).toBe('next')
        events.push(eventOf(data))
        if (isLast(events.at(-1)!)) return
      }
    }
    await read(stream, (event) => event.message?.id === first.replyId)
    const second = await send(app, ada, sessionId, 'two [[tokens=40 rate=200 seed=two]]')
    await read(stream, (event) => event.messageId === second.replyId)
    stream.cut()
    const resumed = await openStream(app, {
      method,
      token: ada.token,
      query: follow,
      variables: { sessionId, after: events.findLast(({ seq }) => seq !== null)!.seq },
    })
    await read(resumed, (event) => event.message?.id === second.replyId)
    resumed.cut()

    const seqs = events.flatMap(({ seq }) => seq ?? [])
    expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b))
    for (const [{ replyId }, whole] of [
      [first, text('one', 5)],
      [second, text('two', 40)],
    ] as const) {
      let content = ''
      for (const event of events) {
        if (event.messageId !== replyId) continue
        expect(event.offset).toBe(content.length)
        content += event.text
      }
      expect(content).toBe(whole)
      expect((await readMessage(app, ada, replyId)).content).toBe(whole)
    }
  })

  it('ends with complete where the session is deleted', async () => {
    const sessionId = await createSession(app, ada)
    const stream = await openStream(app, {
      method,
      token: ada.token,
      query: follow,
      variables: { sessionId, after: 0 },
    })
    await stream.opened
    await mutate(app, ada, 'deleteSessions', { sessionIds: [sessionId] })
    const all = await stream.rest()
    expect(all.map(({ event }) => event)).toEqual(['next', 'complete'])
    expect(eventOf(all[0]!.data)).toEqual({ __typename: 'SessionDeleted', seq: null })
  })

  it.each([
    ['UNAUTHENTICATED', undefined, null],
    ['NOT_FOUND', 'stranger', null],
    ['INVALID_INPUT', 'owner', -1],
  ])('is refused with %s', async (code, who, after) => {
    const sessionId = await createSession(app, ada)
    const token = who === 'owner' ? ada.token : who && (await signIn(app)).token
    const stream = await openStream(app, { method, token, query: follow, variables: { sessionId, after } })
    const [first] = await stream.rest()
    expect(first!.data).toMatchObject({ errors: [{ extensions: { code } }] })
    expect(JSON.stringify(first)).not.toContain('sessionEvents":{')
  })
})

describe('an event stream', () => {
  it('ends once the viewer is removed, and shows nothing that came later', async () => {
    const bob = await signIn(app, 'Bob')
    const sessionId = await createSession(app, ada)
    await join(app, ada, bob, sessionId)
    const stream = await openStream(app, { token: bob.token, query: follow, variables: { sessionId, after: 0 } })
    await stream.next()
    await mutate(app, ada, 'removeParticipant', { sessionId, userId: bob.id })
    await send(app, ada, sessionId, 'not for Bob', { respond: false })
    const rest = await stream.rest()
    // Bob's own coming online may have passed by before
    const told = rest.filter(({ event, data }) => event === 'next' && !JSON.stringify(data).includes('PresenceChanged'))
    expect(told.map(({ data }) => data)).toEqual([
      { errors: [expect.objectContaining({ extensions: { code: 'FORBIDDEN' } })] },
    ])
    expect(rest.at(-1)!.event).toBe('complete')
  })

  it('ends once its token does, though nothing happens in the session', async () => {
    const token = await signToken({ sub: 'brief', name: 'Brief' }, 2)
    const brief = { id: '', name: 'Brief', token }
    const sessionId = await createSession(app, brief)
    const stream = await openStream(app, { token, query: follow, variables: { sessionId } })
    const all = await stream.rest()
    expect(all.at(-2)?.data).toMatchObject({ errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] })
    expect(all.at(-1)?.event).toBe('complete')
  })

  it('is refused with 401 for a header without a token in it', async () => {
    for (const authorization of ['', 'Bearer', 'Bearer '])
      for (const method of ['POST', 'GET'] as const) {
        const headers = { accept: 'text/event-stream', authorization }
        const response = await (method === 'GET'
          ? fetch(`${app.url}/graphql?${new URLSearchParams({ query: follow, variables: '{"sessionId":"x"}' })}`, {
              headers,
            })
          : fetch(`${app.url}/graphql`, {
              method,
              headers: { ...headers, 'content-type': 'application/json' },
              body: JSON.stringify({ query: follow, variables: { sessionId: 'x' } }),
            }))
        expect([authorization, method, response.status]).toEqual([authorization, method, 401])
        expect(await response.text()).toContain('"UNAUTHENTICATED"')
      }
  })

  it('answers queries with JSON although it was asked for a stream of events too', async () => {
    const response = await fetch(`${app.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
      body: JSON.stringify({ query: '{ __typename }' }),
    })
    expect(await response.json()).toEqual({ data: { __typename: 'Query' } })
  })

  it.each(['application/json', 'application/graphql-response+json', 'image/png', 'multipart/mixed'])(
    'is none for who accepts %s: 406, and nothing is left behind',
    async (accept) => {
      const sessionId = await createSession(app, ada)
      const queries = [
        follow,
        'subscription ($sessionId: ID!) { ...Root } fragment Root on Subscription { sessionEvents(sessionId: $sessionId) { seq } }',
        'subscription { viewerEvents { __typename } }',
      ]
      for (const query of queries) {
        const response = await fetch(`${app.url}/graphql`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', accept, authorization: `Bearer ${ada.token}` },
          body: JSON.stringify({ query, variables: query.includes('$sessionId') ? { sessionId } : {} }),
        })
        await response.body?.cancel()
        expect(response.status).toBe(406)
        await expect.poll(() => app.services.connectionCount()).toBe(0)
        await expect.poll(() => app.services.log.followedSessions()).toEqual([])
      }
    },
  )

  it('makes its reader online for as long as it is read, like a socket', async () => {
    const reader = await signIn(app, 'Reader')
    const sessionId = await createSession(app, reader)
    const isOnline = async () =>
      (
        await gql<{ session: { participants: { isOnline: boolean }[] } }>(
          app,
          'query ($id: ID!) { session(id: $id) { participants { isOnline } } }',
          { id: sessionId },
          reader,
        )
      ).session.participants[0]!.isOnline
    expect(await isOnline()).toBe(false)
    const stream = await openStream(app, { token: reader.token, query: follow, variables: { sessionId, after: 0 } })
    await stream.opened
    expect(await isOnline()).toBe(true)
    stream.cut()
    await expect.poll(isOnline, { timeout: 10_000 }).toBe(false)
  })

  it('counts among the connections that are open', async () => {
    const count = async () =>
      (await gql<{ health: { activeConnections: number } }>(app, '{ health { activeConnections } }')).health
        .activeConnections
    const sessionId = await createSession(app, ada)
    const before = await count()
    const stream = await openStream(app, { token: ada.token, query: follow, variables: { sessionId, after: 0 } })
    await stream.opened
    expect(await count()).toBe(before + 1)
    stream.cut()
    await expect.poll(count).toBe(before)
  })
})
