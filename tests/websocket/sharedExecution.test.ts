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
import { openSocket, signIn, type BareSocket, type Person } from '../support/clients.ts'
import { createSession, join, mutate, send } from '../support/operations.ts'
import { testRandom } from '../support/random.ts'
import { canonical, framesOf, type Payload } from './payloads.ts'
import { generateOperation, wideLimits, type GeneratedOperation } from './selections.ts'

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
    env: { ...wideLimits, PROVIDER_ATTEMPTS: '1' },
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

/** What graphql-js itself gives for an event. */
async function plainly(
  query: string,
  variables: Record<string, unknown>,
  event: SessionEvent,
  isExact: boolean,
): Promise<string> {
  const viewer = await app.services.identity.verify(ada.token)
  const contextValue = createContext(app.services, askerOf(viewer, { address: '', origin: '' }))
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
    expect(await framesOf(socket, sharedId, history.length, isExact), `shared:\n${shared}`).toEqual(plain)
    expect(await framesOf(socket, documentedId, history.length, isExact), `documented:\n${documented}`).toEqual(
      plainDocumented,
    )
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
