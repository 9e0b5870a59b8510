import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { openSocket, signIn, type Person } from '../support/clients.ts'
import { createSession, send } from '../support/operations.ts'
import { openStream, type EventStream } from './eventStream.ts'

const limit = 3
let app: TestApp
let ada: Person
beforeAll(async () => {
  app = await startApp({
    env: { MAX_EVENT_STREAMS_PER_USER: String(limit), MAX_SOCKETS_PER_USER: '1', STUCK_SOCKET_TIMEOUT_MS: '1500' },
  })
  ada = await signIn(app)
})
afterAll(() => app?.stop())

const follow =
  'subscription ($s: ID!) { sessionEvents(sessionId: $s, after: 0) { seq ... on MessageAdded { message { content } } } }'
const list = 'subscription { viewerEvents { __typename } }'
const refusal = {
  errors: [
    {
      message: `At most ${limit} event streams a user. End one.`,
      extensions: expect.objectContaining({ code: 'RATE_LIMITED' }),
    },
  ],
}
const openCount = () => app.services.connectionCount()

describe('event streams of one user', () => {
  it('are so many at once, whatever they follow; one that ends makes room', async () => {
    const [bob, sessionId] = [await signIn(app, 'Bob'), await createSession(app, ada)]
    const open = (who = ada) => openStream(app, { token: who.token, query: list })
    const streams = [
      await openStream(app, { token: ada.token, query: follow, variables: { s: sessionId } }),
      await open(),
      await open(),
    ]
    expect(openCount()).toBe(limit)
    for (let tries = 0; tries < 3; tries++)
      expect(await (await open()).rest()).toEqual([
        { event: 'next', data: refusal },
        { event: 'complete', data: null },
      ])
    expect(openCount()).toBe(limit)

    // neither another user's, nor a socket
    streams.push(await open(bob))
    const socket = await openSocket(app, { token: ada.token })
    await socket.close()

    streams[0]!.cut()
    await expect.poll(openCount).toBe(limit)
    streams.push(await open())
    await expect.poll(openCount).toBe(limit + 1)
    for (const stream of streams) stream.cut()
    await expect.poll(openCount).toBe(0)
  })

  it('are no more when all are asked for at the same moment, and those that were refused take no room', async () => {
    const streams = await Promise.all(
      Array.from({ length: 12 }, () => openStream(app, { token: ada.token, query: list })),
    )
    expect(openCount()).toBe(limit)
    for (const stream of streams) stream.cut()
    await expect.poll(openCount).toBe(0)
    const bad = { token: ada.token, query: follow, variables: { s: '00000000-0000-7000-8000-000000000000' } }
    for (let tries = 0; tries < limit + 1; tries++)
      expect((await (await openStream(app, bad)).rest())[0]!.data).toMatchObject({
        errors: [{ extensions: { code: 'NOT_FOUND' } }],
      })
  })
})

/** A stream whose bytes are read only where the test does so. */
async function openUnread(sessionId: string): Promise<IncomingMessage> {
  const body = JSON.stringify({ query: follow, variables: { s: sessionId } })
  const headers = {
    'content-type': 'application/json',
    accept: 'text/event-stream',
    authorization: `Bearer ${ada.token}`,
  }
  const sent = request({ host: '127.0.0.1', port: app.port, path: '/graphql', method: 'POST', headers, agent: false })
  sent.end(body)
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  response.on('error', () => undefined)
  return response
}

describe('a reader of an event stream', () => {
  /** More than the system keeps for a connection. */
  const messages = 200
  let sessionId: string
  beforeAll(async () => {
    sessionId = await createSession(app, ada)
    for (let n = 0; n < messages; n++) await send(app, ada, sessionId, '€'.repeat(32_000), { respond: false })
  })

  it('who takes nothing for long is cut off, and others read on', async () => {
    const stuck = await openUnread(sessionId)
    const reading: EventStream = await openStream(app, { token: ada.token, query: follow, variables: { s: sessionId } })
    let seen = 0
    while (seen < messages) if (JSON.stringify((await reading.next()).data).includes('€')) seen++
    await expect.poll(openCount, { timeout: 20_000 }).toBe(1)
    await send(app, ada, sessionId, 'still there?', { respond: false })
    while (!JSON.stringify((await reading.next()).data).includes('still there?'));
    reading.cut()
    stuck.destroy()
    await expect.poll(openCount).toBe(0)
  })

  it('who reads slowly is not, and gets all of it', async () => {
    const stream = await openStream(app, { token: ada.token, query: follow, variables: { s: sessionId } })
    const startedAt = performance.now()
    for (let seen = 0; seen < messages;) {
      if (JSON.stringify((await stream.next()).data).includes('€')) seen++
      // some times as long for all as one has who takes nothing
      const ahead = (seen / messages) * 4_000 - (performance.now() - startedAt)
      if (ahead > 0) await new Promise((resolve) => setTimeout(resolve, ahead))
    }
    expect(openCount()).toBe(1)
    stream.cut()
    await expect.poll(openCount).toBe(0)
  })

  it('who is idle because nothing happens is not cut off', async () => {
    const quiet = await createSession(app, ada)
    const stream = await openStream(app, { token: ada.token, query: follow, variables: { s: quiet } })
    const stuck = await openUnread(sessionId)
    // as long as it takes to cut off the other one
    await expect.poll(openCount, { timeout: 20_000 }).toBe(1)
    await send(app, ada, quiet, 'still there?', { respond: false })
    for (let shown = ''; !shown.includes('still there?');) {
      shown = JSON.stringify((await stream.next()).data)
      expect(shown).not.toContain('errors')
    }
    stream.cut()
    stuck.destroy()
  })
})

it('nothing of all this was an error of the server', () => {
  expect(app.logged).toEqual([])
})
