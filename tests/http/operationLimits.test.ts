import { getIntrospectionQuery, print, type DocumentNode } from 'graphql'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import * as generated from '../../client/gql/graphql.ts'
import { exampleTabs } from '../../server/http/exampleOperations.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { openSocket, post, signIn, type GraphqlAnswer, type Person } from '../support/clients.ts'

let app: TestApp
let ada: Person
beforeAll(async () => {
  app = await startApp()
  ada = await signIn(app)
})
afterAll(() => app?.stop())

type Variables = Record<string, unknown>
type Errors = GraphqlAnswer['errors']

/** The errors that an operation gets, in each of the ways in which it can be sent. */
const transports: Record<string, (query: string, variables: Variables) => Promise<Errors>> = {
  async POST(query, variables) {
    const { status, body } = await post(app, query, variables, ada)
    if (body.errors) expect([status, body.data ?? null]).toEqual([400, null])
    return body.errors
  },
  async 'Server-Sent Events'(query, variables) {
    const response = await fetch(`${app.url}/graphql`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'text/event-stream',
        authorization: `Bearer ${ada.token}`,
      },
      body: JSON.stringify({ query, variables }),
    })
    const [, data] = /data: (.*)/.exec(await response.text())!
    return (JSON.parse(data!) as GraphqlAnswer).errors
  },
  async WebSocket(query, variables) {
    const socket = await openSocket(app, { token: ada.token })
    socket.subscribe('1', query, variables)
    const { type, payload } = await socket.nextOf('1')
    await socket.close()
    return type === 'error' ? (payload as Errors) : (payload as GraphqlAnswer).errors
  },
}

const id = '00000000-0000-7000-8000-000000000000'
const times = (count: number, text: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => text(index)).join(' ')
const parents = (levels: number): string => `${'{ parent '.repeat(levels)}{ id }${' }'.repeat(levels)}`

/** Operations that are at a number, and so must pass, or just past it. */
const limits: [string, number, string, (count: number) => string, Variables?][] = [
  ['characters', 15_000, 'MAX_QUERY_CHARACTERS', (count) => '{ __typename }'.padEnd(count)],
  [
    'tokens',
    1_000,
    'MAX_QUERY_TOKENS',
    (count) => `mutation { deleteSessions(input: { sessionIds: [${'"" '.repeat(count - 17)}] }) { __typename } }`,
  ],
  ['levels', 10, 'MAX_QUERY_DEPTH', (count) => `{ message(id: "${id}") ${parents(count - 2)} }`],
  [
    'levels by fragments',
    10,
    'MAX_QUERY_DEPTH',
    (count) =>
      `{ message(id: "${id}") { ...A } } fragment A on Message { parent { ... { ...B } } } fragment B on Message ${parents(count - 3)}`,
  ],
  ['aliases', 15, 'MAX_QUERY_ALIASES', (count) => `{ ${times(count, (index) => `a${index}: __typename`)} }`],
  [
    'aliases by a fragment that is spread five times',
    15,
    'MAX_QUERY_ALIASES',
    (count) =>
      `{ ${times(5, () => '... { ...F }')} ${times(count - 15, () => 'a: __typename')} }
       fragment F on Query { x: __typename y: __typename z: __typename }`,
  ],
  [
    'directives',
    5,
    'MAX_QUERY_DIRECTIVES',
    (count) => `{ ${times(count, () => '... @include(if: true) { __typename }')} }`,
  ],
  ['repeats', 50, 'MAX_QUERY_REPEATS', (count) => `{ ${'__typename '.repeat(count)} }`],
  [
    'repeats in inline fragments',
    50,
    'MAX_QUERY_REPEATS',
    (count) => `{ ${times(count, () => '... { __typename }')} }`,
  ],
]

const tooDear = [
  {
    message: expect.stringMatching(/costs (5,200|15,400|5,003); at most 5,000 .*\(MAX_QUERY_COST\)/),
    extensions: { code: 'INVALID_INPUT' },
  },
]

describe.each(Object.entries(transports))('over %s', (_name, ask) => {
  it.each(limits)(
    'an operation may have so many %s: %i, and no more',
    async (_what, limit, setting, make, variables) => {
      expect(await ask(make(limit), variables ?? {})).toBeUndefined()
      const errors = await ask(make(limit + 1), variables ?? {})
      expect(errors).toEqual([
        {
          message: expect.stringMatching(new RegExp(`${limit.toLocaleString('en')}.*\\(?${setting}\\)`)),
          extensions: { code: 'INVALID_INPUT' },
        },
      ])
    },
  )

  const pages = (first: string, last: string, head = '') =>
    `${head} { sessions(${first}) { edges { node { id ...M } } } } fragment M on Session { messages(${last}) { edges { node { id } } } }`

  it.each<[string, string, Variables, boolean]>([
    ['25 × (1 + 199) by numbers', pages('first: 25', 'last: 199'), {}, true],
    ['26 × (1 + 199) by numbers', pages('first: 26', 'last: 199'), {}, false],
    [
      '25 × (1 + 199) by variables',
      pages('first: $a', 'last: $b', 'query ($a: Int, $b: Int)'),
      { a: 25, b: 199 },
      true,
    ],
    [
      '26 × (1 + 199) by variables',
      pages('first: $a', 'last: $b', 'query ($a: Int, $b: Int)'),
      { a: 26, b: 199 },
      false,
    ],
    ['by the defaults of variables', pages('first: $a', 'last: $b', 'query ($a: Int = 26, $b: Int = 199)'), {}, false],
    [
      'long texts: 200 sessions without prompts, and one page of 200 with them',
      '{ a: sessions(first: 200) { edges { node { id title } } } b: sessions(first: 200) { edges { node { settings { systemPrompt } } } } }',
      {},
      true,
    ],
    [
      'long texts: 50 messages',
      '{ sessions(first: 1) { edges { node { messages(last: 50) { edges { node { content } } } } } } }',
      {},
      true,
    ],
    [
      'long texts: prompts of 200 sessions by many aliases',
      `{ ${Array.from({ length: 14 }, (_, i) => `a${i}: sessions(first: 200) { edges { node { settings { systemPrompt } } } }`).join(' ')} }`,
      {},
      false,
    ],
    [
      'statistics four times',
      `{ ${['a', 'b', 'c', 'd'].map((name) => `${name}: stats { totalMessages }`).join(' ')} }`,
      {},
      true,
    ],
    [
      'statistics five times',
      `{ ${['a', 'b', 'c', 'd', 'e'].map((name) => `${name}: stats { totalMessages }`).join(' ')} }`,
      {},
      false,
    ],
    ['by pages of the default size', pages('after: null', 'before: null'), {}, true],
  ])('an operation may cost 5,000 and no more: %s', async (_what, query, variables, isTaken) => {
    expect(await ask(query, variables)).toEqual(isTaken ? undefined : tooDear)
  })
})

describe('a document', () => {
  it('is refused each time it is sent, with variables that cost too much, and taken with others in between', async () => {
    const query =
      'query ($n: Int) { sessions(first: $n) { edges { node { messages(last: 199) { totalCount edges { node { id } } } } } } }'
    for (const [n, status] of [
      [25, 200],
      [26, 400],
      [25, 200],
      [26, 400],
    ] as const)
      expect((await post(app, query, { n }, ada)).status).toBe(status)
    for (let sent = 0; sent < 3; sent++) expect((await post(app, `{ ${'__typename '.repeat(51)} }`)).status).toBe(400)
  })

  it('that is wrong in itself too is refused for its size first', async () => {
    const { body } = await post(app, `{ ${times(500, () => 'nothing')} }`)
    expect(body.errors).toEqual([expect.objectContaining({ message: expect.stringContaining('500 repeats') })])
  })

  it.each([
    ['two fragments in a circle', '{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }'],
    ['one inside itself', '{ viewer { ...A } } fragment A on User { id ...A }'],
    ['one under its own field', `{ message(id: "${id}") { ...A } } fragment A on Message { parent { ...A } }`],
  ])('with %s is refused at once', async (_what, query) => {
    const { status, body } = await post(app, query)
    expect(status).toBe(200)
    expect(body.errors?.[0]?.message).toMatch(/fragment .* within itself/i)
  })

  it('of fragments that multiply each other is refused at once, whatever that makes', async () => {
    const letters = [...'ABCDEFGHIJKLMNOPQRSTUVWXY']
    const query = `query ($n: Int) { ...A } ${letters
      .map(
        (letter, index) =>
          `fragment ${letter} on Query { ${`...${letters[index + 1] ?? 'Z'} `.repeat(6)} sessions(first: $n) { edges { node { id } } } }`,
      )
      .join(' ')} fragment Z on Query { viewer { id } }`
    const { status, body } = await post(app, query, { n: 1 })
    expect([status, body.errors?.[0]?.message]).toEqual([400, expect.stringContaining('MAX_QUERY_COST')])
  })

  it.each([
    [
      'fields',
      '{ __schema { types { fields { type { fields { type { fields { type { fields { type { name } } } } } } } } } } }',
    ],
    ['types', '{ __type(name: "User") { interfaces { possibleTypes { interfaces { possibleTypes { name } } } } } }'],
  ])('that asks for %s of the schema in circles is refused, in development too', async (_what, query) => {
    const { body } = await post(app, query)
    expect(body.data ?? null).toBeNull()
    expect(body.errors?.[0]?.message).toMatch(/introspection depth/i)
  })

  it('that reads the whole schema passes, as do those of GraphiQL and of our own client', async () => {
    const ours = Object.values(generated).filter(
      (value) => typeof value === 'object' && 'kind' in value,
    ) as DocumentNode[]
    const documents = [
      getIntrospectionQuery({ specifiedByUrl: true, inputValueDeprecation: true, schemaDescription: true }),
      ...exampleTabs.map(({ query }) => query),
      ...ours.filter(({ definitions }) => definitions[0]!.kind === 'OperationDefinition').map((one) => print(one)),
    ]
    expect(documents.length).toBeGreaterThan(15)
    for (const query of documents) {
      // refused for its variables, which it lacks, and so not for its size
      const { body } = await post(app, query)
      expect(JSON.stringify(body.errors ?? []), query).not.toContain('MAX_QUERY')
    }
  })

  it('may ask for 50 sessions with their people and newest messages, and those with theirs', async () => {
    const query = `{ sessions(first: 50) { edges { node {
      owner { name } participants { role user { name } } model { name provider { name } } usage { totalTokens }
      messages(last: 5) { edges { node { content author { name } parent { author { name } } generation { model { name } } } } }
    } } } }`
    expect((await post(app, query, {}, ada)).body.errors).toBeUndefined()
  })
})

describe('a limit', () => {
  it('is a setting', async () => {
    const other = await startApp({
      env: { MAX_QUERY_ALIASES: '1', MAX_QUERY_DIRECTIVES: '0', MAX_QUERY_REPEATS: '2', MAX_QUERY_COST: '40' },
    })
    try {
      const statusOf = async (query: string) => (await post(other, query)).status
      for (const [good, bad] of [
        ['{ a: __typename }', '{ a: __typename b: __typename }'],
        ['{ __typename }', '{ __typename @include(if: true) }'],
        ['{ __typename __typename }', '{ __typename __typename __typename }'],
        [
          '{ sessions(first: 40) { edges { cursor node { id } } } }',
          '{ sessions(first: 41) { edges { cursor node { id } } } }',
        ],
      ])
        expect([await statusOf(good!), await statusOf(bad!)]).toEqual([200, 400])
    } finally {
      await other.stop()
    }
  })
})

it('no operation of all these was an error of the server', () => {
  expect(app.logged).toEqual([])
})
