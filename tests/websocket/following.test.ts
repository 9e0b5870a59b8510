import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { gql, openSocket, signIn, type BareSocket, type Person, type ReceivedFrame } from '../support/clients.ts'
import { text } from '../support/fakeModelServer.ts'
import { createSession, join, mutate, send } from '../support/operations.ts'
import { codeOf, fold, type Event } from './events.ts'

let app: TestApp
let ada: Person
let bob: Person
const sockets: BareSocket[] = []
beforeAll(async () => {
  app = await startApp({ env: { TYPING_TIMEOUT_MS: '400', MAX_SOCKETS_PER_USER: '1000' } })
  ada = await signIn(app, 'Ada')
  bob = await signIn(app, 'Bob')
})
afterAll(async () => {
  for (const socket of sockets) await socket.close()
  await app?.stop()
})

const open = async (person: Person): Promise<BareSocket> => {
  const socket = await openSocket(app, { token: person.token })
  sockets.push(socket)
  return socket
}

const selection = `__typename seq
  ... on MessageAdded { message { id content status } }
  ... on MessageDelta { messageId offset text }
  ... on GenerationEnded { message { id content status } }
  ... on TypingChanged { user { id } isTyping }
  ... on PresenceChanged { user { id } isOnline }
  ... on Resync { lastSeq }`

/** The two ways through the server: with others in a group, and as graphql-js documents it. */
const ways = {
  shared: `subscription ($sessionId: ID!, $after: Int) { sessionEvents(sessionId: $sessionId, after: $after) { ${selection} } }`,
  documented: `subscription ($sessionId: ID!, $after: Int) { ...Root }
    fragment Root on Subscription { sessionEvents(sessionId: $sessionId, after: $after) { ${selection} } }`,
}

const eventOf = ({ payload }: ReceivedFrame): Event =>
  (payload as { data: { sessionEvents: Event } }).data.sessionEvents
const isEvent = (frame: ReceivedFrame): boolean =>
  Boolean((frame.payload as { data?: { sessionEvents?: unknown } } | undefined)?.data?.sessionEvents)
const ended = (replyId: string) => (frame: ReceivedFrame) =>
  isEvent(frame) && eventOf(frame).__typename === 'GenerationEnded' && eventOf(frame).message!.id === replyId
const stored = (events: Event[]): Event[] => events.filter(({ seq }) => seq !== null)

describe.each(Object.entries(ways))('following a session, the %s way', (_way, query) => {
  it('begins at the first event from 0, behind any other from there, and with what comes next from nothing', async () => {
    const sessionId = await createSession(app, ada)
    const first = await send(app, ada, sessionId, 'one [[tokens=30 seed=one]]')
    const socket = await open(ada)
    socket.subscribe('all', query, { sessionId, after: 0 })
    const before = (await socket.until('all', ended(first.replyId))).map(eventOf)
    expect(before.map(({ __typename }) => __typename).slice(0, 4)).toEqual([
      'MessageAdded',
      'MessageAdded',
      'GenerationStarted',
      'SessionUpdated',
    ])
    expect(fold(before, first.replyId)).toBe(text('one', 30))

    const middle = before[3]!.seq!
    socket.subscribe('middle', query, { sessionId, after: middle })
    socket.subscribe('live', query, { sessionId })
    socket.subscribe('null', query, { sessionId, after: null })
    socket.subscribe('end', query, { sessionId, after: before.at(-1)!.seq })
    await socket.roundTrip()
    const second = await send(app, ada, sessionId, 'two [[tokens=30 seed=two rate=300]]')
    const [fromMiddle, ...fromHere] = await Promise.all(
      ['middle', 'live', 'null', 'end', 'all'].map(async (id) =>
        stored((await socket.until(id, ended(second.replyId))).filter(isEvent).map(eventOf)),
      ),
    )
    expect(fromMiddle![0]!.seq).toBeGreaterThan(middle)
    expect(fold(fromMiddle!, first.replyId)).toBe(text('one', 30))
    for (const events of [fromMiddle!, ...fromHere]) {
      expect(fold(events, second.replyId)).toBe(text('two', 30))
      const seqs = events.map(({ seq }) => seq!)
      expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b))
    }
    for (const events of fromHere)
      expect(events[0]).toMatchObject({ __typename: 'MessageAdded', message: { id: second.sentId } })
  })

  it('hands over from stored to live without a hole, at whatever moment it begins', async () => {
    const sessionId = await createSession(app, ada)
    const { replyId } = await send(app, ada, sessionId, 'on [[tokens=200 rate=800 seed=on]]')
    const socket = await open(ada)
    const ids: string[] = []
    let position = 0
    socket.subscribe('first', query, { sessionId, after: 0 })
    while (true) {
      const frame = await socket.nextOf('first')
      if (ended(replyId)(frame)) break
      position = eventOf(frame).seq ?? position
      if (ids.length >= 20) continue
      const id = `from ${position}`
      if (!ids.includes(id)) socket.subscribe(ids[ids.push(id) - 1]!, query, { sessionId, after: position })
    }
    for (const id of ids) {
      const events = stored((await socket.until(id, ended(replyId))).map(eventOf))
      expect(events[0]!.seq).toBeGreaterThan(Number(id.slice(5)))
      const first = events.find(({ messageId }) => messageId === replyId)
      const had = text('on', 200).slice(0, first?.offset)
      expect(fold(events, replyId, had)).toBe(text('on', 200))
    }
    expect(ids.length).toBeGreaterThan(3)
  })

  it('from beyond the end begins with Resync, and goes on from there', async () => {
    const sessionId = await createSession(app, ada)
    const { sentId } = await send(app, ada, sessionId, 'one', { respond: false })
    const { session } = await gql<{ session: { lastSeq: number } }>(
      app,
      'query ($id: ID!) { session(id: $id) { lastSeq } }',
      { id: sessionId },
      ada,
    )
    const socket = await open(ada)
    socket.subscribe('1', query, { sessionId, after: 1_000_000 })
    expect(eventOf(await socket.nextOf('1'))).toEqual({ __typename: 'Resync', seq: null, lastSeq: session.lastSeq })
    const next = await send(app, ada, sessionId, 'two', { respond: false })
    const [event] = stored((await socket.until('1', (frame) => eventOf(frame).seq !== null)).map(eventOf))
    expect(event!.message!.id).toBe(next.sentId)
    expect(next.sentId).not.toBe(sentId)
  })

  it.each([
    ['NOT_FOUND', 'a session that is not there', () => ({ sessionId: randomUUID() })],
    ['NOT_FOUND', 'no id at all', () => ({ sessionId: 'nonsense' })],
    ['NOT_FOUND', "somebody else's session", async () => ({ sessionId: await createSession(app, bob) })],
    ['INVALID_INPUT', 'a negative position', async () => ({ sessionId: await createSession(app, ada), after: -1 })],
  ])('is refused with %s for %s', async (code, _what, variables) => {
    const socket = await open(ada)
    socket.subscribe('1', query, await variables())
    const frames = await socket.until('1', ({ type }) => type !== 'next')
    expect(frames.map(({ type }) => type)).toEqual(['next', 'complete'])
    expect(codeOf(frames[0]!)).toBe(code)
    expect(frames[0]!.payload as object).not.toHaveProperty('data')
  })

  it('ends with FORBIDDEN for who is removed in mid-stream, and nothing comes later', async () => {
    const sessionId = await createSession(app, ada)
    await join(app, ada, bob, sessionId)
    const [mine, his] = [await open(ada), await open(bob)]
    mine.subscribe('1', query, { sessionId, after: 0 })
    his.subscribe('1', query, { sessionId, after: 0 })
    const { replyId } = await send(app, ada, sessionId, 'secret [[tokens=300 rate=400 seed=secret]]')
    await his.until('1', (frame) => isEvent(frame) && eventOf(frame).messageId === replyId)
    expect(await mutate(app, ada, 'removeParticipant', { sessionId, userId: bob.id })).toMatchObject({
      __typename: 'RemoveParticipantSuccess',
    })
    const rest = await his.until('1', ({ type }) => type === 'complete')
    expect(codeOf(rest.at(-2)!)).toBe('FORBIDDEN')
    const all = (await mine.until('1', ended(replyId))).filter(isEvent).map(eventOf)
    expect(fold(all, replyId)).toBe(text('secret', 300))
    await his.roundTrip()
    expect(his.received.at(-2)!.type).toBe('complete')

    const removedAt = all.find(({ __typename }) => __typename === 'ParticipantLeft')!.seq!
    const seen = his.received.filter(isEvent).map((frame) => eventOf(frame).seq ?? 0)
    expect(Math.max(...seen)).toBeLessThan(removedAt)
    his.subscribe('2', query, { sessionId, after: 0 })
    expect(codeOf(await his.nextOf('2'))).toBe('NOT_FOUND')
  })

  it('ends with FORBIDDEN for who leaves by themselves, on all of their sockets', async () => {
    const sessionId = await createSession(app, ada)
    await join(app, ada, bob, sessionId)
    const both = [await open(bob), await open(bob)]
    for (const socket of both) {
      socket.subscribe('1', query, { sessionId })
      await socket.roundTrip()
    }
    await mutate(app, bob, 'leaveSession', { sessionId })
    for (const socket of both) {
      const frames = await socket.until('1', ({ type }) => type === 'complete')
      expect(codeOf(frames.at(-2)!)).toBe('FORBIDDEN')
    }
  })

  it('ends with SessionDeleted and complete, also in mid-stream, and is NOT_FOUND afterwards', async () => {
    const sessionId = await createSession(app, ada)
    await join(app, ada, bob, sessionId)
    const watching = [await open(ada), await open(bob)]
    for (const socket of watching) socket.subscribe('1', query, { sessionId, after: 0 })
    const { replyId } = await send(app, ada, sessionId, 'gone [[tokens=1000 rate=200]]')
    for (const socket of watching)
      await socket.until('1', (frame) => isEvent(frame) && eventOf(frame).messageId === replyId)
    await mutate(app, ada, 'deleteSessions', { sessionIds: [sessionId] })
    for (const socket of watching) {
      const frames = await socket.until('1', ({ type }) => type === 'complete')
      expect(eventOf(frames.at(-2)!)).toEqual({ __typename: 'SessionDeleted', seq: null })
      socket.subscribe('2', query, { sessionId, after: 0 })
      expect(codeOf(await socket.nextOf('2'))).toBe('NOT_FOUND')
    }
  })

  it('tells who types, but not the typist, until they stop, send or fall silent', async () => {
    const sessionId = await createSession(app, ada)
    await join(app, ada, bob, sessionId)
    const [mine, his, hisToo] = [await open(ada), await open(bob), await open(bob)]
    for (const socket of [mine, his, hisToo]) socket.subscribe('1', query, { sessionId })
    await Promise.all([mine.roundTrip(), his.roundTrip(), hisToo.roundTrip()])
    const nextTyping = async (): Promise<Event> =>
      eventOf(await mine.next((frame) => isEvent(frame) && eventOf(frame).__typename === 'TypingChanged'))
    const type = (isTyping: boolean) => mutate(app, bob, 'setTyping', { sessionId, isTyping })
    const told = (isTyping: boolean) => ({ __typename: 'TypingChanged', seq: null, user: { id: bob.id }, isTyping })

    await type(true)
    expect(await nextTyping()).toEqual(told(true))
    await type(false)
    expect(await nextTyping()).toEqual(told(false))
    await type(true)
    expect(await nextTyping()).toEqual(told(true))
    expect(await nextTyping(), 'after the timeout').toEqual(told(false))
    await type(true)
    expect(await nextTyping()).toEqual(told(true))
    await send(app, bob, sessionId, 'said', { respond: false })
    expect(await nextTyping()).toEqual(told(false))
    await his.roundTrip()
    await hisToo.roundTrip()
    const heard = [...his.received, ...hisToo.received].filter(
      (frame) => isEvent(frame) && eventOf(frame).isTyping !== undefined,
    )
    expect(heard).toEqual([])
  })

  it('tells who comes online, and who went with their last connection', async () => {
    const cleo = await signIn(app, 'Cleo')
    const sessionId = await createSession(app, ada)
    await join(app, ada, cleo, sessionId)
    const mine = await open(ada)
    mine.subscribe('1', query, { sessionId })
    await mine.roundTrip()
    const nextPresence = async (): Promise<Event> =>
      eventOf(await mine.next((frame) => isEvent(frame) && eventOf(frame).user?.id === cleo.id))
    const told = (isOnline: boolean) => ({ __typename: 'PresenceChanged', seq: null, user: { id: cleo.id }, isOnline })
    const [first, second] = [await open(cleo), await open(cleo)]
    expect(await nextPresence()).toEqual(told(true))
    await first.close()
    await second.close()
    expect(await nextPresence()).toEqual(told(false))
  })

  it('stops at complete: what happens afterwards is not sent', async () => {
    const sessionId = await createSession(app, ada)
    const socket = await open(ada)
    socket.subscribe('1', query, { sessionId, after: 0 })
    const { replyId } = await send(app, ada, sessionId, 'on [[tokens=200 rate=500]]')
    await socket.until('1', (frame) => eventOf(frame).messageId === replyId)
    socket.complete('1')
    await socket.roundTrip()
    const count = socket.received.length
    socket.subscribe('2', query, { sessionId, after: 0 })
    await socket.until('2', ended(replyId))
    expect(socket.received.slice(count).filter(({ id }) => id === '1')).toEqual([])
  })
})

it('nothing of all this was an error of the server', () => {
  expect(app.logged).toEqual([])
})
