import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { schema } from '../../server/schema/schema.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { openSocket, signIn, type BareSocket, type Person } from '../support/clients.ts'
import { createSession, join, mutate, send } from '../support/operations.ts'
import { testRandom } from '../support/random.ts'
import { framesOf } from './payloads.ts'
import { generateOperation, wideLimits } from './selections.ts'

let app: TestApp
let ada: Person
let bob: Person
let socket: BareSocket
beforeAll(async () => {
  app = await startApp({ env: wideLimits })
  ada = await signIn(app, 'Ada')
  bob = await signIn(app, 'Bob')
  socket = await openSocket(app, { token: ada.token })
})
afterAll(async () => {
  await socket?.close()
  await app?.stop()
})

describe('who follows live', () => {
  it('gets the same on both ways, of what passes by too', async () => {
    const random = testRandom()
    const id = await createSession(app, ada, { title: 'Live' })
    const operations = Array.from({ length: 30 }, () => generateOperation(schema, random))
    for (const [index, { shared, documented, variables }] of operations.entries()) {
      socket.subscribe(`s${index}`, shared, { ...variables, sessionId: id })
      socket.subscribe(`d${index}`, documented, { ...variables, sessionId: id })
    }
    await socket.roundTrip()
    // each is done only when all have heard of the one before: what is read with an event is the same for all then
    const steps: [() => Promise<unknown>, number][] = [
      [() => join(app, ada, bob, id), 1],
      [() => mutate(app, bob, 'setTyping', { sessionId: id, isTyping: true }), 1],
      [() => mutate(app, ada, 'changeParticipantRole', { sessionId: id, userId: bob.id, role: 'VIEWER' }), 1],
      [() => send(app, ada, id, 'said', { respond: false }), 1],
      [() => mutate(app, ada, 'updateSession', { sessionId: id, metadata: { step: 5 } }), 1],
      [() => mutate(app, ada, 'removeParticipant', { sessionId: id, userId: bob.id }), 1],
      [() => mutate(app, ada, 'deleteSessions', { sessionIds: [id] }), 1],
    ]
    for (const [step, count] of steps) {
      await step()
      for (const index of operations.keys()) {
        const [shared, documented] = [
          await framesOf(socket, `s${index}`, count),
          await framesOf(socket, `d${index}`, count),
        ]
        expect(shared, operations[index]!.shared).toEqual(documented)
      }
    }
  })

  it('shares one execution with all who ask the same, whatever their position and user', async () => {
    const id = await createSession(app, ada)
    await join(app, ada, bob, id)
    const query = `subscription ($s: ID!, $after: Int) { sessionEvents(sessionId: $s, after: $after) { seq ... on MessageAdded { message { content author { name } } } } }`
    const others = await Promise.all(
      Array.from({ length: 20 }, (_, index) => openSocket(app, { token: (index % 2 ? ada : bob).token })),
    )
    const { services } = app
    const real = services.storage
    let reads = 0
    services.storage = {
      ...real,
      read: {
        ...real.read,
        all: (sql, params) => {
          if (/FROM users/.test(sql)) reads++
          return real.read.all(sql, params)
        },
      },
    }
    try {
      const readsFor = async (followers: BareSocket[], name: string): Promise<number> => {
        for (const [index, follower] of followers.entries())
          follower.subscribe(name, query, { s: id, after: index % 3 === 0 ? 1 : null })
        await Promise.all(followers.map((follower) => follower.roundTrip()))
        // those that came from further back have caught up once they have this one
        await send(app, ada, id, `${name} first`, { respond: false })
        await Promise.all(followers.map((follower) => follower.until(name, ({ raw }) => raw.includes(`${name} first`))))
        reads = 0
        await send(app, ada, id, `${name} second`, { respond: false })
        const frames = await Promise.all(
          followers.map((follower) => follower.until(name, ({ raw }) => raw.includes(`${name} second`))),
        )
        expect(new Set(frames.map((of) => of.at(-1)!.raw)).size).toBe(1)
        for (const follower of followers) follower.complete(name)
        await Promise.all(followers.map((follower) => follower.roundTrip()))
        return reads
      }
      const alone = await readsFor(others.slice(0, 1), 'alone')
      expect(await readsFor(others, 'together')).toBe(alone)
    } finally {
      services.storage = real
      for (const other of others) await other.close()
    }
  })

  it('does not share with who gave other variables or asks for another operation of the same document', async () => {
    const id = await createSession(app, ada)
    const query = `subscription A($s: ID!, $with: Boolean!) { sessionEvents(sessionId: $s) { seq ... on MessageAdded { message { content @include(if: $with) } } } }
      subscription B($s: ID!) { sessionEvents(sessionId: $s) { __typename } }`
    socket.subscribe('with', query, { s: id, with: true }, 'A')
    socket.subscribe('without', query, { s: id, with: false }, 'A')
    socket.subscribe('other', query, { s: id }, 'B')
    socket.subscribe('upper', query, { s: id.toUpperCase(), with: true }, 'A')
    await socket.roundTrip()
    await send(app, ada, id, 'said', { respond: false })
    const next = async (of: string): Promise<unknown> => (await socket.nextOf(of)).payload
    expect(await next('with')).toEqual({ data: { sessionEvents: { seq: 1, message: { content: 'said' } } } })
    expect(await next('without')).toEqual({ data: { sessionEvents: { seq: 1, message: {} } } })
    expect(await next('other')).toEqual({ data: { sessionEvents: { __typename: 'MessageAdded' } } })
    expect(await next('upper')).toEqual({ data: { sessionEvents: { seq: 1, message: { content: 'said' } } } })
    for (const of of ['with', 'without', 'other', 'upper']) socket.complete(of)
  })

  it('takes each `after` where it is a variable that is used for something else too', async () => {
    const id = await createSession(app, ada)
    for (const content of ['one', 'two', 'three']) await send(app, ada, id, content, { respond: false })
    const query = `subscription ($s: ID!, $n: Int) { sessionEvents(sessionId: $s, after: $n) { seq ... on MessageAdded { message { content session { messages(first: $n) { edges { node { content } } } } } } } }`
    for (const n of [2, 3]) socket.subscribe(`n${n}`, query, { s: id, n })
    const sizes = await Promise.all(
      [2, 3].map(async (n) => {
        const frame = await socket.next((one) => one.id === `n${n}` && one.raw.includes('"content":"three","session"'))
        return frame.raw.match(/"node"/g)!.length
      }),
    )
    expect(sizes).toEqual([2, 3])
  })
})
