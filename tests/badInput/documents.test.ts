import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { openSocket, signIn, type BareSocket, type GraphqlAnswer, type Person } from '../support/clients.ts'

let app: TestApp
let ada: Person
let socket: BareSocket
beforeAll(async () => {
  app = await startApp()
  ada = await signIn(app)
  socket = await openSocket(app, { token: ada.token })
})
afterAll(async () => {
  await socket?.close()
  await app?.stop()
})

interface Payload {
  query: string
  variables?: unknown
  operationName?: string
}

async function overHttp(payload: Payload, accept: string): Promise<{ status: number; text: string }> {
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept, authorization: `Bearer ${ada.token}` },
    body: JSON.stringify(payload),
  })
  return { status: response.status, text: await response.text() }
}

let operations = 0
const transports: Record<string, (payload: Payload) => Promise<GraphqlAnswer>> = {
  async HTTP(payload) {
    const { status, text } = await overHttp(payload, 'application/json')
    expect(status).toBeLessThan(500)
    return JSON.parse(text) as GraphqlAnswer
  },
  async 'Server-Sent Events'(payload) {
    const { status, text } = await overHttp(payload, 'text/event-stream')
    expect(status).toBeLessThan(500)
    return JSON.parse(/^data: (.+)$/m.exec(text)![1]!) as GraphqlAnswer
  },
  async WebSocket(payload) {
    const id = String(++operations)
    socket.send(JSON.stringify({ id, type: 'subscribe', payload }))
    const frame = await socket.nextOf(id)
    return frame.type === 'error' ? { errors: frame.payload as never } : (frame.payload as GraphqlAnswer)
  },
}

const nobody = '00000000-0000-7000-8000-000000000000'
const many = (count: number, part: (n: number) => string): string =>
  Array.from({ length: count }, (_, n) => part(n)).join(' ')
const nested = (levels: number, open: string): string => `${`${open} { `.repeat(levels)}id${' }'.repeat(levels)}`

/** Each is refused as a whole, whatever else is right in it. */
const refused: [what: string, payload: Payload][] = [
  ['deeper than deep', { query: `{ message(id: "${nobody}") { ${nested(60, 'parent')} } }` }],
  [
    'deep by a chain of fragments',
    {
      query: `{ message(id: "${nobody}") { ...F0 } } ${many(30, (n) => `fragment F${n} on Message { parent { ...F${n + 1} } }`)} fragment F30 on Message { id }`,
    },
  ],
  ['of brackets only', { query: '{'.repeat(10_000) }],
  ['of lists in lists as a value', { query: `{ session(id: ${'['.repeat(3_000)}${']'.repeat(3_000)}) { id } }` }],
  [
    'of objects in objects as a value',
    {
      query: `mutation { createSession(input: { metadata: ${'{a:'.repeat(400)}1${'}'.repeat(400)} }) { __typename } }`,
    },
  ],
  ['longer than long', { query: `{ __typename ${' '.repeat(20_000)}}` }],
  ['of a name of 20,000 letters', { query: `{ ${'a'.repeat(20_000)} }` }],
  ['of a string that does not end', { query: '{ session(id: "' }],
  ['of a block string that does not end', { query: '{ session(id: """' }],
  ['of NUL', { query: '\0' }],
  ['of half a character', { query: '{ session(id: "\\uD800") { id } }' }],
  ['of an escape that is none', { query: '{ session(id: "\\u{110000}") { id } }' }],
  ['of a comment', { query: '# { __typename }' }],
  ['of nothing', { query: '' }],
  ['of types', { query: 'type Query { a: Int }' }],
  ['of an extension', { query: 'extend type Query { a: Int }' }],
  [
    'of fragments that hold each other',
    { query: '{ viewer { ...A } } fragment A on User { ...B } fragment B on User { ...A }' },
  ],
  ['of a fragment that holds itself', { query: '{ viewer { ...A } } fragment A on User { id ...A }' }],
  [
    'of fragments that hold each other and stand nowhere',
    { query: '{ __typename } fragment A on User { ...B } fragment B on User { ...A }' },
  ],
  ['of a fragment that is not there', { query: '{ viewer { ...Nope } }' }],
  [
    'of two fragments of one name',
    { query: '{ viewer { ...A } } fragment A on User { id } fragment A on User { name }' },
  ],
  ['with a directive twice', { query: '{ __typename @skip(if: false) @skip(if: false) }' }],
  ['with a directive a hundred times', { query: `{ __typename ${'@include(if: true) '.repeat(100)}}` }],
  ['with a directive that is not there', { query: '{ __typename @nope }' }],
  ['with a directive a hundred times that is not there', { query: `{ __typename ${'@a '.repeat(100)}}` }],
  ["with fields that can't both be meant", { query: '{ a: viewer { x: id } a: viewer { x: name } }' }],
  [
    "with a field many times over that can't be meant",
    { query: `{ ${many(200, (n) => `a: session(id: "${n}") { id }`)} }` },
  ],
  ['with two operations and no name', { query: 'query A { __typename } query B { __typename }' }],
  ['with two operations of one name', { query: 'query A { __typename } query A { __typename }', operationName: 'A' }],
  ['with the name of another operation', { query: 'query A { __typename }', operationName: 'constructor' }],
  [
    'with two roots of a subscription',
    { query: `subscription { a: viewerEvents { __typename } b: viewerEvents { __typename } }` },
  ],
  ['with a subscription to the schema', { query: 'subscription { __typename }' }],
  ['with a variable that is not declared', { query: '{ session(id: $id) { id } }' }],
  ['with a variable that is not used', { query: 'query ($id: ID!) { __typename }', variables: { id: 'a' } }],
  [
    'with a variable twice',
    { query: 'query ($id: ID!, $id: ID!) { session(id: $id) { id } }', variables: { id: 'a' } },
  ],
  ['with a variable of an output type', { query: 'query ($s: Session) { session(id: $s) { id } }', variables: {} }],
  [
    'with a variable of a type that is not there',
    { query: 'query ($s: Nope!) { session(id: $s) { id } }', variables: {} },
  ],
  ['with a variable of another type', { query: 'query ($s: Int!) { session(id: $s) { id } }', variables: { s: 1 } }],
  ['with a variable too few', { query: 'query ($id: ID!) { session(id: $id) { id } }', variables: {} }],
  ['with a variable that is null', { query: 'query ($id: ID!) { session(id: $id) { id } }', variables: { id: null } }],
  [
    'with a variable that is a list',
    { query: 'query ($id: ID!) { session(id: $id) { id } }', variables: { id: ['a', 'b'] } },
  ],
  [
    'with a variable that JavaScript has already',
    { query: 'query ($toString: ID!) { session(id: $toString) { id } }', variables: {} },
  ],
]

describe.each(Object.entries(transports))('a document over %s', (_name, ask) => {
  it.each(refused)('is refused with errors that say why: %s', async (_what, payload) => {
    const { data, errors } = await ask(payload)
    expect(data ?? null).toBeNull()
    expect(errors!.length).toBeGreaterThan(0)
    for (const { message, extensions } of errors!) {
      expect(message).not.toMatch(/Unexpected error|node_modules|\.ts:/)
      expect(String(extensions?.code)).not.toMatch(/INTERNAL/)
    }
    expect(JSON.stringify(errors).length).toBeLessThan(200_000)
  })

  it('is answered where it is odd but right', async () => {
    const odd: Payload[] = [
      { query: '\ufeff,,, { __typename } # end' },
      { query: 'query A { __typename } query B { viewer { id } }', operationName: 'A' },
      { query: '{ ... on Query { ... { __typename } } }' },
      { query: '{ __typename @skip(if: false) @include(if: true) }' },
      { query: '{ __typename __typename __typename }' },
    ]
    for (const payload of odd) expect((await ask(payload)).data, payload.query).toEqual({ __typename: 'Query' })
  })

  it('of many names for one field, or of the whole schema many times over, is no more than an answer or a refusal', async () => {
    const heavy = [
      `{ ${many(150, (n) => `a${n}: health { status }`)} }`,
      `{ ${many(10, (n) => `a${n}: __schema { types { fields { type { fields { name } } } } }`)} }`,
      '{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }',
      `{ ${many(10, (n) => `a${n}: sessions(first: 200) { edges { node { messages(last: 200) { edges { node { session { messages { totalCount } } } } } } } }`)} }`,
    ]
    for (const query of heavy) {
      const { data, errors } = await ask({ query })
      expect(data ?? errors).toBeTruthy()
      for (const { extensions } of errors ?? []) expect(String(extensions?.code)).not.toMatch(/INTERNAL/)
    }
    expect((await ask({ query: '{ __typename }' })).data).toEqual({ __typename: 'Query' })
  })
})

it('nothing of all this was an error of the server', () => {
  expect(app.logged).toEqual([])
})
