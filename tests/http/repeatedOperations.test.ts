import type { ExecutionResult, GraphQLError } from 'graphql'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { openSocket, post, signIn, type Person } from '../support/clients.ts'

/** Parsed and validated operations are cached, so a later turn takes another way than the first. */
const repeats = 5

let app: TestApp
let person: Person
beforeAll(async () => {
  app = await startApp()
  person = await signIn(app)
})
afterAll(() => app?.stop())

const operations: [name: string, query: string, variables?: Record<string, unknown>][] = [
  ['a required Int left to its default', 'query ($n: Int! = 5) { sessions(first: $n) { totalCount } }'],
  ['an Int left to its default', 'query ($n: Int = 5) { sessions(first: $n) { totalCount } }'],
  ['a required Int that is given', 'query ($n: Int! = 5) { sessions(first: $n) { totalCount } }', { n: 2 }],
  ['null where null is not taken', 'query ($n: Int! = 5) { sessions(first: $n) { totalCount } }', { n: null }],
  ['null where null is taken', 'query ($n: Int = 5) { sessions(first: $n) { totalCount } }', { n: null }],
  ['a required ID left to its default', 'query ($id: ID! = "a") { node(id: $id) { __typename id } }'],
  ['a required ID that is missing', 'query ($id: ID!) { node(id: $id) { id } }'],
  ['a required String left to its default', 'query ($name: String! = "Session") { __type(name: $name) { name kind } }'],
  [
    'a Boolean left to its default',
    'query ($b: Boolean! = true) { __type(name: "User") { fields(includeDeprecated: $b) { name } } }',
  ],
  ['a directive by a default', 'query ($b: Boolean! = false) { health { status } viewer @include(if: $b) { id } }'],
  ['an Int that is text', 'query ($n: Int! = 5) { sessions(first: $n) { totalCount } }', { n: 'five' }],
  ['an Int past 32 bits', 'query ($n: Int = 5) { sessions(first: $n) { totalCount } }', { n: 2 ** 40 }],
  [
    'an input object left to its default',
    'mutation ($input: SignInAsGuestInput! = { name: "" }) { signInAsGuest(input: $input) { __typename ... on InvalidInputError { code field } } }',
  ],
  [
    'an input object with an unknown field',
    'mutation ($input: SignInAsGuestInput!) { signInAsGuest(input: $input) { __typename } }',
    { input: { name: '', nickname: 'x' } },
  ],
  [
    'an enum that is none of its values',
    'mutation ($role: ParticipantRole! = MEMBER) { inviteToSession(input: { sessionId: "a", role: $role }) { __typename } }',
    { role: 'KING' },
  ],
  ['aliases and fragments', '{ a: health { ...H } b: health { ...H status } } fragment H on Health { status version }'],
  ['nothing but __typename', '{ __typename }'],
]

it.each(operations)('%s gives the same each time, over HTTP and WebSocket', async (_name, query, variables) => {
  const first = await ask(query, variables)
  expect(first.status).toBe(200)
  for (let turn = 1; turn < repeats; turn++) expect(await ask(query, variables)).toEqual(first)

  const socket = await openSocket(app, { token: person.token })
  for (let turn = 0; turn < repeats; turn++) {
    socket.subscribe(`${turn}`, query, variables)
    const { type, payload } = await socket.nextOf(`${turn}`)
    expect(textOf(type === 'error' ? { errors: payload as GraphQLError[] } : (payload as ExecutionResult))).toBe(
      first.text,
    )
  }
  await socket.close()
})

it('takes a default where a required variable of a subscription is left out', async () => {
  const { body } = await post<{ createSession: { session: { id: string } } }>(
    app,
    'mutation { createSession(input: {}) { ... on CreateSessionSuccess { session { id } } } }',
    {},
    person,
  )
  const sessionId = body.data!.createSession.session.id
  const rename = 'mutation ($input: UpdateSessionInput!) { updateSession(input: $input) { __typename } }'
  await post(app, rename, { input: { sessionId, title: 'Another' } }, person)
  const socket = await openSocket(app, { token: person.token })
  const query =
    'subscription ($id: ID!, $after: Int! = 0) { sessionEvents(sessionId: $id, after: $after) { __typename seq } }'
  socket.subscribe('s', query, { id: sessionId })
  const { type, payload } = await socket.nextOf('s')
  expect({ type, payload }).toMatchObject({ type: 'next', payload: { data: { sessionEvents: { seq: 1 } } } })
  await socket.close()
})

it('refuses with 400 where the answer is application/graphql-response+json, each time', async () => {
  const headers = { accept: 'application/graphql-response+json' }
  const asked = Array.from({ length: repeats }, () =>
    post(app, 'query ($id: ID!) { node(id: $id) { id } }', {}, { ...person, headers }),
  )
  expect((await Promise.all(asked)).map(({ status }) => status)).toEqual(Array(repeats).fill(400))
})

async function ask(query: string, variables?: Record<string, unknown>): Promise<{ status: number; text: string }> {
  const { status, body } = await post(app, query, variables, person)
  return { status, text: textOf(body as ExecutionResult) }
}

/** With the order of keys, and without what differs from call to call. */
const textOf = ({ data, errors }: Pick<ExecutionResult, 'data' | 'errors'>): string =>
  JSON.stringify({ data, errors: errors?.map(({ message, path, locations }) => ({ message, path, locations })) })
