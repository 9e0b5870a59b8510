import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import {
  openSocket,
  signIn,
  type BareSocket,
  type GraphqlAnswer,
  type Person,
  type ReceivedFrame,
} from '../support/clients.ts'
import { text, token as fakeToken } from '../support/fakeModelServer.ts'
import { createSession, join, mutate, readMessage, send } from '../support/operations.ts'
import { codeOf, fold, type Event } from './events.ts'

let app: TestApp
let ada: Person
let bob: Person
const sockets: BareSocket[] = []
beforeAll(async () => {
  app = await startApp({ env: { MAX_SOCKETS_PER_USER: '1000' } })
  ada = await signIn(app, 'Ada')
  bob = await signIn(app, 'Bob')
})
afterAll(async () => {
  for (const socket of sockets) await socket.close()
  await app?.stop()
  if (app.logged.length > 0) throw new Error(`The server logged errors: ${JSON.stringify(app.logged)}`)
})

const open = async (person: Person): Promise<BareSocket> => {
  const socket = await openSocket(app, { token: person.token })
  sockets.push(socket)
  return socket
}

describe('the text of one message', () => {
  const query = `subscription ($id: ID!, $offset: Int!) { messageDeltas(messageId: $id, offset: $offset) { seq messageId offset text } }`
  const deltaOf = ({ payload }: ReceivedFrame): Event =>
    (payload as { data: { messageDeltas: Event } }).data.messageDeltas

  it('comes from any offset to the end, while it streams and afterwards', async () => {
    const sessionId = await createSession(app, ada)
    const { replyId } = await send(app, ada, sessionId, 'on [[tokens=120 rate=400 seed=deltas unicode]]')
    const whole = text('deltas', 120, true)
    const offsets = [0, 1, fakeToken('deltas', 0, true).length, 200, whole.length - 1, whole.length]
    const socket = await open(ada)
    for (const when of ['live', 'later']) {
      for (const offset of offsets) socket.subscribe(`${when} ${offset}`, query, { id: replyId, offset })
      for (const offset of offsets) {
        const frames = await socket.until(`${when} ${offset}`, ({ type }) => type === 'complete')
        const deltas = frames.slice(0, -1).map(deltaOf)
        expect(fold(deltas, replyId, whole.slice(0, offset)), `${when} from ${offset}`).toBe(whole)
      }
    }
    expect((await readMessage(app, ada, replyId)).content).toBe(whole)
  })

  it('can be gone on with from where it stopped, at any moment', async () => {
    const sessionId = await createSession(app, ada)
    const { replyId } = await send(app, ada, sessionId, 'on [[tokens=200 rate=500 seed=stops]]')
    let content = ''
    for (let isOver = false; !isOver;) {
      const socket = await open(ada)
      socket.subscribe('1', query, { id: replyId, offset: content.length })
      const frames = [await socket.nextOf('1')]
      if (frames[0]!.type !== 'complete') content = fold(frames.map(deltaOf), replyId, content)
      else isOver = true
      await socket.close()
    }
    expect(content).toBe(text('stops', 200))
  })

  it("is not told of an unknown message or of somebody else's", async () => {
    const sessionId = await createSession(app, bob)
    const { sentId } = await send(app, bob, sessionId, 'mine', { respond: false })
    const socket = await open(ada)
    const answers = new Set<string>()
    for (const [name, variables] of Object.entries({
      unknown: { id: randomUUID(), offset: 0 },
      foreign: { id: sentId, offset: 0 },
      nonsense: { id: 'x', offset: 0 },
    })) {
      socket.subscribe(name, query, variables)
      const frame = await socket.nextOf(name)
      expect(codeOf(frame), name).toBe('NOT_FOUND')
      answers.add(JSON.stringify(frame.payload))
    }
    expect(answers.size, 'nobody learns which it is').toBe(1)
    const own = await send(app, ada, await createSession(app, ada), 'mine', { respond: false })
    socket.subscribe('negative', query, { id: own.sentId, offset: -1 })
    expect(codeOf(await socket.nextOf('negative'))).toBe('INVALID_INPUT')
  })

  it('has no position beyond the end of a whole one, and waits for one beyond what is stored of another', async () => {
    const sessionId = await createSession(app, ada)
    const { sentId, replyId } = await send(app, ada, sessionId, 'on [[tokens=60 rate=100 seed=beyond]]')
    const whole = text('beyond', 60)
    const socket = await open(ada)
    socket.subscribe('ahead', query, { id: replyId, offset: whole.length - 3 })
    const frames = await socket.until('ahead', ({ type }) => type === 'complete')
    const said = frames.slice(0, -1).map((frame) => deltaOf(frame).text)
    expect(said.join('')).toBe(whole.slice(-3))

    const { content } = await readMessage(app, ada, sentId)
    for (const [id, length] of [
      [sentId, content.length],
      [replyId, whole.length],
    ] as const) {
      socket.subscribe(`beyond ${id}`, query, { id, offset: length + 1 })
      const { payload } = await socket.nextOf(`beyond ${id}`)
      const message = `Must be at most ${length}, the length of the message.`
      expect((payload as GraphqlAnswer).errors).toMatchObject([
        { extensions: { code: 'INVALID_INPUT', fields: [{ path: ['offset'], message }] } },
      ])
    }
  })

  it('ends with FORBIDDEN for who is removed meanwhile', async () => {
    const sessionId = await createSession(app, ada)
    await join(app, ada, bob, sessionId)
    const his = await open(bob)
    const { replyId, generationId } = await send(app, ada, sessionId, 'on [[tokens=10 stall=5]]')
    his.subscribe('1', query, { id: replyId, offset: 0 })
    await his.nextOf('1')
    await mutate(app, ada, 'removeParticipant', { sessionId, userId: bob.id })
    const frames = await his.until('1', ({ type }) => type === 'complete')
    expect(codeOf(frames.at(-2)!)).toBe('FORBIDDEN')
    await mutate(app, ada, 'stopGeneration', { generationId })
  })
})

describe('the list of sessions', () => {
  const query = `subscription { viewerEvents { __typename
    ... on SessionListed { session { id title } } ... on SessionChanged { session { id title } }
    ... on SessionUnlisted { sessionId } } }`

  it('tells what comes, changes and goes, on all devices of a person and of nobody else', async () => {
    const [dora, emil] = [await signIn(app, 'Dora'), await signIn(app, 'Emil')]
    const [one, two, other] = [await open(dora), await open(dora), await open(emil)]
    for (const socket of [one, two, other]) {
      socket.subscribe('1', query)
      await socket.roundTrip()
    }
    const next = async (socket: BareSocket, kind: string): Promise<unknown> => {
      const frames = await socket.until(
        '1',
        ({ payload }) =>
          (payload as { data: { viewerEvents: { __typename: string } } }).data.viewerEvents.__typename === kind,
      )
      return (frames.at(-1)!.payload as { data: { viewerEvents: object } }).data.viewerEvents
    }
    const id = await createSession(app, dora, { title: 'Plans' })
    for (const socket of [one, two]) {
      expect(await next(socket, 'SessionListed')).toEqual({
        __typename: 'SessionListed',
        session: { id, title: 'Plans' },
      })
    }
    await mutate(app, dora, 'updateSession', { sessionId: id, title: 'Other plans' })
    for (const socket of [one, two]) {
      expect(await next(socket, 'SessionChanged')).toEqual({
        __typename: 'SessionChanged',
        session: { id, title: 'Other plans' },
      })
    }
    await other.roundTrip()
    expect(other.received.filter((frame) => frame.id === '1')).toEqual([])
    await join(app, dora, emil, id)
    expect(await next(other, 'SessionListed')).toMatchObject({ session: { id } })
    await mutate(app, dora, 'removeParticipant', { sessionId: id, userId: emil.id })
    expect(await next(other, 'SessionUnlisted')).toEqual({ __typename: 'SessionUnlisted', sessionId: id })
    await mutate(app, dora, 'deleteSessions', { sessionIds: [id] })
    expect(await next(two, 'SessionUnlisted')).toEqual({ __typename: 'SessionUnlisted', sessionId: id })
  })
})

describe('who types in a session', () => {
  it('is told alone, and no more once the viewer left', async () => {
    const sessionId = await createSession(app, ada)
    await join(app, ada, bob, sessionId)
    const his = await open(bob)
    his.subscribe('1', 'subscription ($s: ID!) { typing(sessionId: $s) { user { name } isTyping } }', { s: sessionId })
    await his.roundTrip()
    await send(app, ada, sessionId, 'not typing', { respond: false })
    await mutate(app, ada, 'setTyping', { sessionId, isTyping: true })
    expect(await his.nextOf('1')).toMatchObject({
      payload: { data: { typing: { user: { name: 'Ada' }, isTyping: true } } },
    })
    await mutate(app, bob, 'leaveSession', { sessionId })
    const frames = await his.until('1', ({ type }) => type === 'complete')
    expect(codeOf(frames.at(-2)!)).toBe('FORBIDDEN')
  })
})
