import { randomUUID } from 'node:crypto'
import { execute, parse, validate, type ExecutionResult } from 'graphql'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SessionEvent } from '../../server/log/event.ts'
import { mergeDeltas } from '../../server/log/merge.ts'
import { readEvents, readLog } from '../../server/log/read.ts'
import { askerOf, createContext } from '../../server/resolvers/createContext.ts'
import { toGraphQLError } from '../../server/schema/errors.ts'
import { schema } from '../../server/schema/schema.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { openSocket, signIn, type BareSocket, type Person, type ReceivedFrame } from '../support/clients.ts'
import { createSession, join, mutate, send } from '../support/operations.ts'
import { testRandom } from '../support/random.ts'
import { generateOperation, type GeneratedOperation } from './selections.ts'

let app: TestApp
let ada: Person
let bob: Person
let socket: BareSocket
/** A session in which something of every kind has happened. */
let sessionId: string
let history: SessionEvent[]
/** Makes the field `model` fail, wherever it is selected. */
let modelsFail = false

beforeAll(async () => {
  app = await startApp({
    env: {
      MAX_QUERY_DEPTH: '100',
      MAX_QUERY_TOKENS: '100000',
      MAX_QUERY_ALIASES: '1000',
      MAX_QUERY_DIRECTIVES: '1000',
      MAX_QUERY_REPEATS: '1000',
      MAX_QUERY_COST: '1000000',
      MAX_QUERY_CHARACTERS: '1000000',
      MAX_SUBSCRIPTIONS_PER_SOCKET: '10000',
      MAX_SOCKETS_PER_USER: '100',
      PROVIDER_ATTEMPTS: '1',
    },
  })
  const { providers } = app.services
  const find = providers.find.bind(providers)
  providers.find = (id) => {
    if (modelsFail) throw new Error('a secret of the server')
    return find(id)
  }
  ada = await signIn(app, 'Ada')
  bob = await signIn(app, 'Bob')
  socket = await openSocket(app, { token: ada.token })
  sessionId = await createSession(app, ada, { metadata: { a: [1, { b: null }] } })
  socket.subscribe(
    'ends',
    `subscription ($s: ID!) { sessionEvents(sessionId: $s) { ... on GenerationEnded { message { id } } } }`,
    {
      s: sessionId,
    },
  )
  const ended = (id: string) => socket.next(({ raw }) => raw.includes(`"id":"${id}"`))
  await ended((await send(app, ada, sessionId, 'one [[tokens=10 rate=200 unicode]]')).replyId)
  await join(app, ada, bob, sessionId)
  await mutate(app, ada, 'changeParticipantRole', { sessionId, userId: bob.id, role: 'VIEWER' })
  await mutate(app, ada, 'updateSession', {
    sessionId,
    title: 'Another "title" \u2028 é',
    settings: { temperature: 0.5 },
  })
  await ended((await send(app, ada, sessionId, 'fails [[tokens=3 eof=2]]')).replyId)
  await ended((await send(app, ada, sessionId, 'refused [[status=500]]')).replyId)
  await app.services.storage.transaction(async (tx) => {
    // an event of a message that is gone: its field `message` is an error
    await app.services.log.append(tx, sessionId, [
      { kind: 'MessageAdded', subjectId: randomUUID() },
      { kind: 'MessageDeleted', subjectId: randomUUID() },
    ])
  })
  await mutate(app, bob, 'leaveSession', { sessionId })
  socket.complete('ends')
  await socket.roundTrip()
  const { logId } = (await readLog(app.services.storage, sessionId))!
  history = mergeDeltas(await readEvents(app.services.storage, { logId, sessionId }, 0))
})
afterAll(async () => {
  await socket?.close()
  await app?.stop()
})

interface Payload {
  data?: unknown
  errors?: unknown[]
}

interface Fault {
  message: string
  extensions?: unknown
}

/**
 * A payload as text, its keys in their order. Of several errors that null the same parent any may be told, as GraphQL's
 * specification has it, so of what is generated only their kinds are compared; of what is written here all they say.
 */
function canonical({ data, errors }: Payload, isExact: boolean): string {
  const told = errors?.map((error) =>
    JSON.stringify(isExact ? error : { message: (error as Fault).message, extensions: (error as Fault).extensions }),
  )
  return JSON.stringify({ data, errors: told && [...new Set(told)].sort() })
}
const payloadOf = ({ raw }: ReceivedFrame, isExact: boolean): string =>
  canonical((JSON.parse(raw) as { payload: Payload }).payload, isExact)

/** What graphql-js itself gives for an event. */
async function plainly(
  query: string,
  variables: Record<string, unknown>,
  event: SessionEvent,
  isExact: boolean,
): Promise<string> {
  const viewer = await app.services.identity.verify(ada.token)
  const contextValue = createContext(app.services, askerOf(viewer, ''))
  const result = (await execute({
    schema,
    document: parse(query),
    rootValue: event,
    contextValue,
    variableValues: variables,
  })) as ExecutionResult
  const errors = result.errors?.map((error) => toGraphQLError(error))
  return canonical(JSON.parse(JSON.stringify({ data: result.data, errors })) as Payload, isExact)
}

async function framesOf(id: string, count: number, isExact = false): Promise<string[]> {
  const payloads: string[] = []
  while (payloads.length < count) {
    const frame = await socket.nextOf(id)
    if (frame.type !== 'next') throw new Error(`${id}: ${frame.raw}`)
    payloads.push(payloadOf(frame, isExact))
  }
  return payloads
}

async function compare(operations: GeneratedOperation[], isExact = false): Promise<{ errors: number; events: number }> {
  const seen = { errors: 0, events: 0 }
  for (const { shared, documented, variables } of operations) {
    const faults = [...validate(schema, parse(shared)), ...validate(schema, parse(documented))]
    expect(
      faults.map(({ message }) => message),
      shared,
    ).toEqual([])
    const given = { ...variables, sessionId, after: 0 }
    const [sharedId, documentedId] = [randomUUID(), randomUUID()]
    socket.subscribe(sharedId, shared, given)
    socket.subscribe(documentedId, documented, given)
    const plain: string[] = []
    for (const event of history) plain.push(await plainly(shared, given, event, isExact))
    // an error's place in the text differs
    const plainDocumented: string[] = []
    for (const event of history) plainDocumented.push(await plainly(documented, given, event, isExact))
    expect(await framesOf(sharedId, history.length, isExact), `shared:\n${shared}`).toEqual(plain)
    expect(await framesOf(documentedId, history.length, isExact), `documented:\n${documented}`).toEqual(plainDocumented)
    socket.complete(sharedId)
    socket.complete(documentedId)
    seen.events += plain.length
    seen.errors += plain.filter((text) => text.includes('"errors"')).length
  }
  return seen
}

describe('a shared execution gives what graphql-js gives', () => {
  it('has a history with something of every stored kind', () => {
    expect(new Set(history.map(({ kind }) => kind))).toEqual(
      new Set([
        ...['MessageAdded', 'GenerationStarted', 'SessionUpdated', 'MessageDelta', 'GenerationEnded'],
        ...['ParticipantJoined', 'ParticipantChanged', 'ParticipantLeft', 'MessageDeleted'],
      ]),
    )
  })

  it('for 120 generated operations over everything that happened', async () => {
    const random = testRandom()
    const operations = Array.from({ length: 120 }, () => generateOperation(schema, random))
    const { errors, events } = await compare(operations)
    expect(events).toBe(120 * history.length)
    expect(errors).toBeGreaterThan(0)
    expect(errors).toBeLessThan(events / 2)
  })

  it('for 60 generated operations where a field fails on the way', async () => {
    const random = testRandom()
    modelsFail = true
    try {
      const operations = Array.from({ length: 60 }, () => generateOperation(schema, random))
      const { errors } = await compare(operations)
      expect(errors).toBeGreaterThan(0)
      expect(socket.received.some(({ raw }) => raw.includes('a secret'))).toBe(false)
    } finally {
      modelsFail = false
    }
  })

  const event = 'sessionEvents(sessionId: $sessionId, after: $after)'
  const written: [string, string, Record<string, unknown>?][] = [
    [
      'aliases of everything',
      `a: ${event} { b: __typename c: seq d: seq ... on MessageAdded { m: message { i: id j: id } } }`,
    ],
    ['nothing but its type', `${event} { __typename }`],
    [
      'a session in a message in a session',
      `${event} { ... on MessageAdded { message { id session { title participants { role user { name } } messages(last: 2) { edges { cursor node { id parent { id } } } totalCount } } } } ... on GenerationEnded { message { session { id } } generation { message { generation { id } } } } }`,
    ],
    [
      'an error in one field of several',
      `${event} { seq ... on GenerationEnded { message { id parent { id session { messages(first: 999) { totalCount } } } status } } }`,
    ],
    [
      'an error that reaches the top',
      `${event} { seq ... on MessageAdded { message { session { messages(first: -1) { totalCount } } } } }`,
    ],
    [
      'doubled fields whose selections join',
      `${event} { ... on MessageAdded { message { id } message { content author { id } } } ... on MessageAdded { message { author { name } } } }`,
    ],
    [
      'what is skipped and included by variables',
      `${event} { seq @skip(if: $yes) sessionId @include(if: $yes) ... on MessageDelta @include(if: $no) { text } ... @skip(if: $no) { __typename } }`,
    ],
    [
      'fields of the same name on several events',
      `${event} { ... on MessageAdded { message { id } } ... on GenerationEnded { message { content } generation { status } } ... on GenerationStarted { generation { model { id provider { name models { id } } } } } ... on ParticipantLeft { user { name } } }`,
    ],
    [
      'values of every kind',
      `${event} { ... on SessionUpdated { session { metadata settings { temperature tools systemPrompt } createdAt isArchived usage { totalTokens isEstimated } lastSeq } } ... on GenerationEnded { message { error { code message } usage { promptTokens } updatedAt } generation { attempts timeToFirstTokenMs endedAt } } }`,
    ],
    ['nothing at all', `${event} { ... on Resync { lastSeq } }`],
  ]
  it.each(written)('for %s', async (_what, body, more = {}) => {
    const names = ['$yes: Boolean!', '$no: Boolean!'].filter((one) => body.includes(one.split(':')[0]!)).join(' ')
    const head = `subscription Written($sessionId: ID!, $after: Int ${names})`
    const variables = { yes: true, no: false, ...more }
    const { events } = await compare(
      [{ shared: `${head} { ${body} }`, documented: `${head} { ... on Subscription { ${body} } }`, variables }],
      true,
    )
    expect(events).toBe(history.length)
  })
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
        const [shared, documented] = [await framesOf(`s${index}`, count), await framesOf(`d${index}`, count)]
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
