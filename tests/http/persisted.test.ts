import { parse, print, type DocumentNode } from 'graphql'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createParleyClient } from '../../client/library/client.ts'
import { SendMessage } from '../../client/src/message/operations.ts'
import { SignInAsGuest, Viewer } from '../../client/src/people/operations.ts'
import { CreateSession, SessionEvents, SessionPage } from '../../client/src/session/operations.ts'
import { collectOperations, operationId } from '../../server/http/persistedOperations.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { openSocket, post, type GraphqlAnswer } from '../support/clients.ts'
import { openStream } from './eventStream.ts'

let app: TestApp
let token: string
let sessionId: string
beforeAll(async () => {
  app = await startApp({ env: { PERSISTED_ONLY: '1' } })
  const signedIn = await post<{ signInAsGuest: { token: string } }>(app, SignInAsGuest as DocumentNode as never, {
    input: { name: 'Ada' },
  })
  token = signedIn.body.data!.signInAsGuest.token
  const made = await post<{ createSession: { session: { id: string } } }>(
    app,
    CreateSession as DocumentNode as never,
    { input: {} },
    { token },
  )
  sessionId = made.body.data!.createSession.session.id
})
afterAll(() => app?.stop())

const idOf = (document: unknown): string => operationId(document as DocumentNode)

async function send(body: object, accept = 'application/json'): Promise<{ status: number; body: GraphqlAnswer }> {
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept, authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
  })
  return { status: response.status, body: (await response.json()) as GraphqlAnswer }
}

const refused = { code: 'FORBIDDEN' }

describe('a server that takes persisted operations only', () => {
  it('takes those of the client by their text, however it is written, and with __typename anywhere', async () => {
    for (const query of [
      print(Viewer as DocumentNode),
      'query Viewer{viewer{id,name}}',
      '# hello\nquery Viewer { __typename viewer { id __typename name } }',
    ]) {
      const { status, body } = await send({ query })
      expect([status, body.data]).toEqual([
        200,
        expect.objectContaining({ viewer: expect.objectContaining({ name: 'Ada' }) }),
      ])
    }
  })

  it('takes them by their id, in each of the ways in which clients say it', async () => {
    const sha256Hash = idOf(SessionPage)
    for (const by of [
      { documentId: sha256Hash },
      { documentId: `sha256:${sha256Hash}` },
      { query: '', extensions: { persistedQuery: { version: 1, sha256Hash } } },
    ]) {
      const { status, body } = await send({ ...by, variables: { id: sessionId } })
      expect([status, body.errors]).toEqual([200, undefined])
      expect(body.data).toMatchObject({ session: { id: sessionId } })
    }
  })

  it.each([
    ['another text', { query: '{ viewer { id } }' }],
    ['one of ours with a field more', { query: 'query Viewer { viewer { id name isAdmin } }' }],
    ['one of ours with an alias', { query: 'query Viewer { viewer { id name __typename x: __typename } }' }],
    [
      'two operations of which one is ours',
      { query: 'query Viewer { viewer { id name } } query Other { viewer { id } }', operationName: 'Other' },
    ],
    ['introspection', { query: '{ __schema { types { name } } }' }],
    ['an unknown id', { documentId: 'sha256:0000' }],
    ['an unknown id as an extension', { extensions: { persistedQuery: { version: 1, sha256Hash: 'constructor' } } }],
    ['an id beside another text', { query: '{ viewer { id } }', documentId: 'sha256:0000' }],
  ])('refuses %s, and says why', async (_what, body) => {
    const answer = await send(body)
    expect(answer.status).toBe(403)
    expect(answer.body).toEqual({
      errors: [{ message: expect.stringContaining('PERSISTED_ONLY'), extensions: refused }],
    })
  })

  it('refuses and takes the same as an event stream', async () => {
    const variables = { sessionId, after: 0 }
    const other = 'subscription ($id: ID!) { sessionEvents(sessionId: $id) { seq } }'
    const refusal = await openStream(app, { token, query: other, variables: { id: sessionId } })
    expect((await refusal.next()).data).toMatchObject({ errors: [{ extensions: refused }] })
    const stream = await openStream(app, { token, query: print(SessionEvents as DocumentNode), variables })
    await post(
      app,
      SendMessage as DocumentNode as never,
      { input: { sessionId, content: 'x', respond: false } },
      { token },
    )
    const { event, data } = await stream.next()
    expect([event, data]).toEqual(['next', { data: { sessionEvents: expect.anything() } }])
    stream.cut()
  })

  it('streams a subscription that is named by its id beside an empty query, whatever else the client takes', async () => {
    const controller = new AbortController()
    const response = await fetch(`${app.url}/graphql`, {
      method: 'POST',
      signal: controller.signal,
      headers: {
        'content-type': 'application/json',
        accept: 'text/event-stream, */*',
        authorization: `Bearer ${token}`,
      },
      body: JSON.stringify({ query: '', documentId: idOf(SessionEvents), variables: { sessionId, after: 0 } }),
    })
    expect(response.headers.get('content-type')).toMatch('text/event-stream')
    controller.abort()
  })

  it('refuses and takes the same over WebSocket', async () => {
    const socket = await openSocket(app, { token })
    socket.subscribe('other', '{ viewer { id } }')
    expect(await socket.nextOf('other')).toMatchObject({ type: 'error', payload: [{ extensions: refused }] })
    const payload = (sha256Hash: string) => ({ query: '', extensions: { persistedQuery: { sha256Hash } } })
    socket.send({ id: 'unknown', type: 'subscribe', payload: payload('0000') })
    expect(await socket.nextOf('unknown')).toMatchObject({ type: 'error', payload: [{ extensions: refused }] })
    socket.send({ id: 'query', type: 'subscribe', payload: payload(idOf(Viewer)) })
    expect(await socket.nextOf('query')).toMatchObject({ type: 'next', payload: { data: { viewer: { name: 'Ada' } } } })
    socket.send({
      id: 'follow',
      type: 'subscribe',
      payload: { ...payload(idOf(SessionEvents)), variables: { sessionId, after: 0 } },
    })
    expect(await socket.nextOf('follow')).toMatchObject({
      type: 'next',
      payload: { data: { sessionEvents: { seq: 1 } } },
    })
    await socket.close()
  })

  it('works with the client library: queries, following and its outbox', async () => {
    const client = createParleyClient({ url: app.url, token })
    try {
      expect((await client.query(Viewer, {})).data?.viewer?.name).toBe('Ada')
      const answered = new Promise<unknown>((resolve) => {
        client.subscription(SessionEvents, { sessionId, after: 0 }).subscribe(({ data, error }) => {
          if (error || data?.sessionEvents.__typename === 'GenerationEnded') resolve(error ?? 'ended')
        })
      })
      expect(await client.outbox.send({ sessionId, content: 'Hello' })).toBeUndefined()
      expect(await answered).toBe('ended')
    } finally {
      client.close()
    }
  })

  it('serves no GraphiQL, which it would answer nothing', async () => {
    const response = await fetch(`${app.url}/graphql`, { headers: { accept: 'text/html' } })
    expect(await response.text()).not.toContain('<html')
  })
})

describe('the list of operations', () => {
  const fragment = parse('fragment F on User { id ...G } fragment G on User { name }')

  it('holds each operation with the fragments that it needs, by an id that their order does not change', () => {
    const collected = collectOperations([fragment, parse('query A { viewer { ...F } } query B { viewer { id } }')])
    expect(Object.keys(collected)).toHaveLength(2)
    for (const [id, text] of Object.entries(collected)) {
      const document = parse(text)
      expect(operationId(document)).toBe(id)
      expect(operationId({ ...document, definitions: document.definitions.toReversed() })).toBe(id)
    }
    const sizes = Object.values(collected).map((text) => parse(text).definitions.length)
    expect(new Set(sizes)).toEqual(new Set([1, 3]))
  })

  it('is asked for only where the setting says so', async () => {
    const other = await startApp()
    try {
      expect((await post(other, '{ viewer { id } }')).status).toBe(200)
      const answer = await fetch(`${other.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ documentId: idOf(Viewer) }),
      })
      expect(answer.status).toBe(400)
    } finally {
      await other.stop()
    }
  })
})
