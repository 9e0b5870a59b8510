import { Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { WebSocket } from 'ws'
import { startApp, type TestApp } from '../support/app.ts'
import { openSocket, signIn, type BareSocket, type Person, type ReceivedFrame } from '../support/clients.ts'
import { text } from '../support/fakeModelServer.ts'
import { createSession, readMessage, send } from '../support/operations.ts'

/** The least that is possible: what a socket of Node keeps before it says that it is full. */
const limit = 65_536
const stuckTimeoutMs = 1_500
let app: TestApp
let patient: TestApp
let ada: Person
const sockets: BareSocket[] = []
beforeAll(async () => {
  const env = { MAX_SOCKET_BUFFER_BYTES: '65536', MAX_SOCKETS_PER_USER: '1000', PING_INTERVAL_MS: '600000' }
  ;[app, patient] = await Promise.all([
    startApp({ env: { ...env, STUCK_SOCKET_TIMEOUT_MS: String(stuckTimeoutMs) } }),
    startApp({ env: { ...env, STUCK_SOCKET_TIMEOUT_MS: '600000' } }),
  ])
  ada = await signIn(app)
})
afterAll(async () => {
  for (const socket of sockets) await socket.close()
  await Promise.all([app?.stop(), patient?.stop()])
})

const query = `subscription ($s: ID!, $after: Int) { sessionEvents(sessionId: $s, after: $after) { __typename seq
  ... on MessageDelta { messageId offset text } ... on GenerationEnded { message { id status } } } }`

interface Event {
  __typename: string
  seq: number | null
  messageId?: string
  offset: number
  text: string
  message?: { id: string }
}
const eventOf = ({ payload }: ReceivedFrame): Event =>
  (payload as { data: { sessionEvents: Event } }).data.sessionEvents

const open = async (of: TestApp, token: string): Promise<BareSocket> => {
  const socket = await openSocket(of, { token })
  sockets.push(socket)
  return socket
}

/** So many that what the kernel keeps for a connection is soon full. */
const subscriptions = Array.from({ length: 40 }, (_, n) => `${n}`)

describe('a client that does not read', () => {
  it('harms nobody, costs no memory, and reads on byte-exact when it reads again', async () => {
    const eve = await signIn(patient, 'Eve')
    const sessionId = await createSession(patient, eve)
    const slow = await open(patient, eve.token)
    const others = await Promise.all(Array.from({ length: 50 }, () => open(patient, eve.token)))
    for (const id of subscriptions) slow.subscribe(id, query, { s: sessionId, after: 0 })
    for (const socket of others) socket.subscribe('0', query, { s: sessionId, after: 0 })
    await Promise.all([slow, ...others].map((socket) => socket.roundTrip()))
    slow.socket.pause()

    const tokens = 1_500
    const replyIds: string[] = []
    for (let n = 0; n < 4; n++)
      replyIds.push(
        (await send(patient, eve, sessionId, `n [[tokens=${tokens} rate=1000 unicode seed=slow${n}]]`)).replyId,
      )
    let most = 0
    const sample = setInterval(() => (most = Math.max(most, mostUnsent(patient))), 20)
    const whole = await Promise.all(others.map((socket) => followAll(socket, '0', replyIds)))
    clearInterval(sample)
    for (const contents of whole)
      for (const [n, replyId] of replyIds.entries()) expect(contents.get(replyId)).toBe(text(`slow${n}`, tokens, true))
    expect(slow.socket.readyState).toBe(slow.socket.OPEN)
    // it was full, and took no more than the limit and the frame that passed it
    expect(most).toBeGreaterThan(limit)
    expect(most).toBeLessThan(2 * limit)

    slow.socket.resume()
    for (const id of subscriptions) {
      const late = await followAll(slow, id, replyIds)
      for (const [n, replyId] of replyIds.entries()) expect(late.get(replyId)).toBe(text(`slow${n}`, tokens, true))
    }
    for (const [n, replyId] of replyIds.entries())
      expect((await readMessage(patient, eve, replyId)).content).toBe(text(`slow${n}`, tokens, true))
    const count = (socket: BareSocket, id: string) => socket.received.filter((frame) => frame.id === id).length
    expect(Math.min(...subscriptions.map((id) => count(slow, id)))).toBeLessThan(count(others[0]!, '0'))
  })

  it('is closed where it takes nothing for long, and may resume from what it had', async () => {
    const sessionId = await createSession(app, ada)
    const stuck = await open(app, ada.token)
    for (const id of subscriptions) stuck.subscribe(id, query, { s: sessionId, after: 0 })
    await stuck.roundTrip()
    stuck.socket.pause()
    const replyIds: string[] = []
    for (let n = 0; n < 4; n++)
      replyIds.push((await send(app, ada, sessionId, `n [[tokens=1500 rate=1000 unicode seed=stuck${n}]]`)).replyId)
    await expect.poll(() => app.services.connectionCount(), { timeout: 20_000, interval: 20 }).toBe(0)
    stuck.socket.resume()
    // the close frame stands behind what it did not take, so it comes through only to who reads on at once
    expect([1013, 1006]).toContain((await stuck.closed).code)

    const contents = new Map<string, string>()
    const had = stuck.received.filter((frame) => frame.id === '0').map(eventOf)
    for (const event of had) fold(contents, event)
    const ended = had.flatMap(({ message }) => message?.id ?? [])
    const again = await open(app, ada.token)
    again.subscribe('0', query, { s: sessionId, after: had.findLast(({ seq }) => seq !== null)?.seq ?? 0 })
    await followAll(
      again,
      '0',
      replyIds.filter((id) => !ended.includes(id)),
      contents,
    )
    for (const [n, replyId] of replyIds.entries()) expect(contents.get(replyId)).toBe(text(`stuck${n}`, 1_500, true))
  })

  it('for a while only is not closed, however full its socket was', async () => {
    const sessionId = await createSession(app, ada)
    const socket = await open(app, ada.token)
    socket.subscribe('1', query, { s: sessionId, after: 0 })
    await socket.roundTrip()
    const { replyId } = await send(app, ada, sessionId, 'n [[tokens=20000 rate=8000 seed=pauses]]')
    const reading = followAll(socket, '1', [replyId])
    const toggle = setInterval(() => (socket.socket.isPaused ? socket.socket.resume() : socket.socket.pause()), 100)
    try {
      expect((await reading).get(replyId)).toBe(text('pauses', 20_000))
    } finally {
      clearInterval(toggle)
      socket.socket.resume()
    }
    expect(socket.socket.readyState).toBe(socket.socket.OPEN)
  })
})

describe('a ping', () => {
  const pingIntervalMs = 300
  const whole = `subscription ($s: ID!) { sessionEvents(sessionId: $s, after: 0) { seq
    ... on MessageAdded { message { content } } } }`
  const ids = Array.from({ length: 15 }, (_, n) => `${n}`)
  const count = 20
  let pinging: TestApp
  let eve: Person
  let sessionId: string
  beforeAll(async () => {
    pinging = await startApp({
      env: {
        MAX_SOCKET_BUFFER_BYTES: String(limit),
        PING_INTERVAL_MS: String(pingIntervalMs),
        STUCK_SOCKET_TIMEOUT_MS: '2000',
      },
    })
    eve = await signIn(pinging, 'Eve')
    sessionId = await createSession(pinging, eve, { title: 'Long' })
    for (let n = 0; n < count; n++)
      await send(pinging, eve, sessionId, String(n % 10).repeat(32_000), { respond: false })
  })
  afterAll(() => pinging?.stop())

  /** A socket with more on its way than the system keeps, and what closes it on the server's side. */
  const openFull = async (onData: (socket: Socket) => void) => {
    const [close, terminate] = [vi.spyOn(WebSocket.prototype, 'close'), vi.spyOn(WebSocket.prototype, 'terminate')]
    onTestFinished(() => [close, terminate].forEach((spy) => spy.mockRestore()))
    const socket = await open(pinging, eve.token)
    const raw = (socket.socket as unknown as { _socket: Socket })._socket
    raw.on('data', () => onData(raw))
    for (const id of ids) socket.subscribe(id, whole, { s: sessionId })
    return { socket, raw, close, terminate }
  }

  it('does not cut who has stopped reading while something is unsent: that one is closed with 1013, later', async () => {
    const { socket, raw, close, terminate } = await openFull((stopping) => {
      if (mostUnsent(pinging) > 0) stopping.pause()
    })
    await expect.poll(() => close.mock.calls, { timeout: 20_000 }).toEqual([[1013, expect.any(String)]])
    expect(terminate).not.toHaveBeenCalled()
    raw.removeAllListeners('data').resume()
    await socket.close()
  })

  it('does not cut who reads slowly, however long its answer stands behind what was sent before', async () => {
    const { socket, raw, close, terminate } = await openFull((slow) => slow.pause())
    const reading = setInterval(() => raw.resume(), 15)
    onTestFinished(() => clearInterval(reading))
    for (const id of ids) {
      let seen = 0
      while (seen < count) if ((await socket.nextOf(id)).raw.includes('content')) seen++
    }
    await socket.roundTrip()
    expect([close.mock.calls, terminate.mock.calls]).toEqual([[], []])
    expect(socket.socket.readyState).toBe(WebSocket.OPEN)
    clearInterval(reading)
    await socket.close()
  })
})

/** The most bytes that any connection of the server holds unsent. */
function mostUnsent({ port }: TestApp): number {
  const handles = (process as unknown as { _getActiveHandles(): unknown[] })._getActiveHandles()
  const held = handles.flatMap((handle) =>
    handle instanceof Socket && handle.localPort === port ? handle.writableLength : [],
  )
  return Math.max(0, ...held)
}

function fold(contents: Map<string, string>, event: Event): void {
  if (event.messageId === undefined) return
  const before = contents.get(event.messageId) ?? ''
  expect(event.offset).toBe(before.length)
  contents.set(event.messageId, before + event.text)
}

/** Reads until each of these answers has ended. */
async function followAll(
  socket: BareSocket,
  id: string,
  replyIds: string[],
  contents = new Map<string, string>(),
): Promise<Map<string, string>> {
  const open = new Set(replyIds)
  while (open.size > 0) {
    const event = eventOf(await socket.nextOf(id))
    fold(contents, event)
    if (event.message) open.delete(event.message.id)
  }
  return contents
}
