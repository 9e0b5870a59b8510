import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { gql, openSocket, signIn, type BareSocket, type Person } from '../support/clients.ts'
import { text } from '../support/fakeModelServer.ts'
import { createSession, join, mutate, readMessage, send, trySend } from '../support/operations.ts'
import { createDatabase } from '../support/postgres.ts'
import { startRedis, type RedisServer } from '../../scripts/support/startRedis.ts'

const follow = `subscription ($sessionId: ID!, $after: Int) { sessionEvents(sessionId: $sessionId, after: $after) {
  __typename seq
  ... on MessageDelta { messageId offset text }
  ... on GenerationEnded { message { id status content } }
  ... on TypingChanged { user { id } isTyping }
  ... on PresenceChanged { user { id } isOnline } } }`

interface Event {
  __typename: string
  seq: number | null
  messageId?: string
  offset?: number
  text?: string
  isTyping?: boolean
  isOnline?: boolean
  user?: { id: string }
}
const eventOf = (frame: { payload?: unknown }): Event =>
  (frame.payload as { data: { sessionEvents: Event } }).data.sessionEvents

/** Folds a follower's frames; throws on a gap, a repeat or an inversion. */
function textOf(frames: readonly { payload?: unknown }[], messageId: string): string {
  let content = ''
  let seq = 0
  for (const event of frames.map(eventOf)) {
    if (event.seq === null) continue
    expect(event.seq).toBeGreaterThan(seq)
    seq = event.seq
    if (event.messageId !== messageId) continue
    expect(event.offset).toBe(content.length)
    content += event.text!
  }
  return content
}

describe('three nodes on one PostgreSQL and one Redis', () => {
  let redis: RedisServer
  let nodes: TestApp[] = []
  let drop: () => Promise<void>
  let ada: Person
  let grace: Person
  let sessionId: string
  const sockets: BareSocket[] = []

  beforeAll(async () => {
    const database = await createDatabase()
    drop = () => database.drop()
    redis = await startRedis()
    const env = { DATABASE_URL: database.url, REDIS_URL: redis.url }
    nodes = await Promise.all([startApp({ env }), startApp({ env }), startApp({ env })])
    ada = await signIn(nodes[0]!, 'Ada')
    grace = await signIn(nodes[1]!, 'Grace')
    sessionId = await createSession(nodes[0]!, ada)
    await join(nodes[0]!, ada, grace, sessionId)
  })
  afterAll(async () => {
    for (const socket of sockets) await socket.close()
    for (const node of nodes) await node.stop()
    await redis.stop()
    await drop()
  })

  const listen = async (node: TestApp, person: Person, after?: number): Promise<{ socket: BareSocket; id: string }> => {
    const socket = await openSocket(node, { token: person.token })
    sockets.push(socket)
    const id = randomUUID()
    socket.subscribe(id, follow, { sessionId, after })
    await socket.roundTrip()
    return { socket, id }
  }
  const untilEnded = ({ socket, id }: { socket: BareSocket; id: string }) =>
    socket.until(id, (frame) => eventOf(frame).__typename === 'GenerationEnded')
  const lastSeq = async () =>
    (
      await gql<{ session: { lastSeq: number } }>(
        nodes[0]!,
        `query ($id: ID!) { session(id: $id) { lastSeq } }`,
        { id: sessionId },
        ada,
      )
    ).session.lastSeq

  test('who follows on another node gets every token once and in order', async () => {
    const after = await lastSeq()
    const followers = await Promise.all(nodes.map((node, index) => listen(node, index === 1 ? grace : ada, after)))
    const { replyId } = await send(nodes[0]!, ada, sessionId, 'Hello [[tokens=200 rate=400 seed=cluster]]')
    for (const follower of followers) expect(textOf(await untilEnded(follower), replyId)).toBe(text('cluster', 200))
    expect((await readMessage(nodes[2]!, grace, replyId)).content).toBe(text('cluster', 200))
  })

  test('a generation is stopped from another node, once its provider is closed', async () => {
    const { replyId, generationId } = await send(nodes[0]!, ada, sessionId, 'Hello [[tokens=5000 rate=50]]')
    const request = nodes[0]!.fake.requests.length - 1
    await nodes[0]!.fake.waitForRequest(request)
    const stopped = await mutate<{ generation: { status: string } }>(
      nodes[1]!,
      grace,
      'stopGeneration',
      { generationId },
      'generation { status }',
    )
    expect(stopped).toMatchObject({ generation: { status: 'STOPPED' } })
    expect((await readMessage(nodes[2]!, ada, replyId)).status).toBe('STOPPED')
    await nodes[0]!.fake.waitForClose(request)
  })

  test('the same send on two nodes is one send', async () => {
    const id = randomUUID()
    const sends = Array.from({ length: 20 }, (_, index) =>
      trySend(nodes[index % 2]!, ada, { sessionId, id, content: 'Only once [[tokens=3]]' }),
    )
    const results = await Promise.all(sends)
    expect(new Set(results.map((result) => result.__typename))).toEqual(new Set(['SendMessageSuccess']))
    expect(new Set(results.map((result) => result.reply!.id)).size).toBe(1)
    const asked = nodes
      .flatMap((node) => node.fake.requests)
      .filter((request) => JSON.stringify(request.body).includes('Only once'))
    expect(asked).toHaveLength(1)
  })

  test('typing and presence are told on every node', async () => {
    const follower = await listen(nodes[2]!, ada)
    const visitor = await listen(nodes[1]!, grace)
    const next = (kind: string) =>
      follower.socket.next(
        (frame) => frame.id === follower.id && frame.type === 'next' && eventOf(frame).__typename === kind,
      )
    // nothing says when a subscription has begun to listen, so it is said until it is heard
    const heard = next('TypingChanged')
    let isHeard = false
    void heard.then(() => (isHeard = true))
    while (!isHeard) {
      await mutate(nodes[1]!, grace, 'setTyping', { sessionId, isTyping: true })
      await Promise.race([heard, delay(50)])
    }
    expect(eventOf(await heard)).toMatchObject({ user: { id: grace.id }, isTyping: true })
    for (const socket of sockets) if (socket !== follower.socket && socket !== visitor.socket) await socket.close()
    await visitor.socket.close()
    let presence: Event
    do presence = eventOf(await next('PresenceChanged'))
    while (presence.user!.id !== grace.id || presence.isOnline)
    await follower.socket.close()
  })

  test('while Redis is away everything goes on at the pace of the timer, and nothing is lost', async () => {
    const after = await lastSeq()
    const follower = await listen(nodes[1]!, grace, after)
    await redis.kill()
    await expect
      .poll(async () => (await gql<{ health: { status: string } }>(nodes[0]!, '{ health { status } }')).health.status)
      .toBe('DEGRADED')
    const first = await send(nodes[0]!, ada, sessionId, 'Without Redis [[tokens=100 rate=200 seed=away]]')
    expect(textOf(await untilEnded(follower), first.replyId)).toBe(text('away', 100))
    // a new follower does not wait for Redis either
    const late = await listen(nodes[2]!, ada, after)
    expect(textOf(await untilEnded(late), first.replyId)).toBe(text('away', 100))

    await redis.start()
    await expect
      .poll(async () => (await gql<{ health: { status: string } }>(nodes[0]!, '{ health { status } }')).health.status, {
        timeout: 10_000,
      })
      .toBe('HEALTHY')
    const second = await send(nodes[0]!, ada, sessionId, 'With Redis again [[tokens=50 rate=200 seed=back]]')
    expect(textOf(await untilEnded(follower), second.replyId)).toBe(text('back', 50))
    expect(textOf(await untilEnded(late), second.replyId)).toBe(text('back', 50))
  })
})
