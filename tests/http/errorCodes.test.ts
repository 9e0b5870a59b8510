import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { openSocket, post, signIn, type GraphqlAnswer, type Person } from '../support/clients.ts'
import { openStream } from './eventStream.ts'

let app: TestApp
let ada: Person
beforeAll(async () => {
  app = await startApp()
  ada = await signIn(app)
})
afterAll(() => app?.stop())

const follow =
  'subscription ($sessionId: ID!, $after: Int) { sessionEvents(sessionId: $sessionId, after: $after) { seq } }'
const stats = 'query ($scope: StatsScope) { stats(scope: $scope) { totalSessions } }'

type Errors = GraphqlAnswer['errors']
const codesOf = (errors: Errors): unknown => errors?.map(({ extensions }) => extensions?.code)

async function overHttp(query: string, variables: object): Promise<Errors> {
  return (await post(app, query, { ...variables }, ada)).body.errors
}
async function overSse(query: string, variables: object): Promise<Errors> {
  const stream = await openStream(app, { query, variables: { ...variables }, token: ada.token })
  return ((await stream.next()).data as GraphqlAnswer).errors
}
async function overWebSocket(query: string, variables: object): Promise<Errors> {
  const socket = await openSocket(app, { token: ada.token })
  try {
    socket.subscribe('1', query, { ...variables })
    const { payload } = await socket.nextOf('1')
    return Array.isArray(payload) ? (payload as Errors) : (payload as GraphqlAnswer).errors
  } finally {
    await socket.close()
  }
}

describe.each([
  ['HTTP', overHttp, [stats, { scope: 'NOBODY' }], ['query ($id: ID!) { session(id: $id) { id } }', {}]],
  ['Server-Sent Events', overSse, [follow, { sessionId: 'x', after: 1.5 }], [follow, {}]],
  ['WebSocket', overWebSocket, [follow, { sessionId: 'x', after: 1.5 }], [follow, {}]],
] as const)('over %s', (_transport, ask, wrong, missing) => {
  test.each([
    ['a variable of a wrong value', wrong],
    ['a missing variable', missing],
  ] as const)('%s is INVALID_INPUT', async (_what, [query, variables]) => {
    const errors = await ask(query, variables)
    expect(codesOf(errors)).toEqual(['INVALID_INPUT'])
    expect(errors![0]!.message).toMatch(/^Variable "\$\w+" /)
  })

  test('a document that does not parse or validate says so in its code', async () => {
    expect(codesOf(await ask('subscription {', {}))).toEqual(['GRAPHQL_PARSE_FAILED'])
    expect(codesOf(await ask('subscription { nix }', {}))).toEqual(['GRAPHQL_VALIDATION_FAILED'])
  })
})

test('a query that has been asked before has the same code for a wrong variable', async () => {
  for (let count = 0; count < 4; count++) await post(app, stats, { scope: 'VIEWER' }, ada)
  expect(codesOf(await overHttp(stats, { scope: 'NOBODY' }))).toEqual(['INVALID_INPUT'])
})

test('an operation that can’t be chosen has a code', async () => {
  const two = 'query A { __typename } query B { __typename }'
  for (const errors of [await overHttp(two, {}), await overWebSocket(two, {})])
    expect(codesOf(errors)).toEqual([expect.stringMatching(/\w/)])
})

describe('a request that is no operation has a code', () => {
  const json = { 'content-type': 'application/json', accept: 'application/json' }
  test.each<[string, number, RequestInit & { path?: string }]>([
    ['not JSON', 400, { body: '{', headers: json }],
    ['no object', 400, { body: '[]', headers: json }],
    ['no query', 200, { body: '{}', headers: json }],
    ['an unknown parameter', 400, { body: '{"query":"{ __typename }","nix":1}', headers: json }],
    ['variables that are none', 400, { body: '{"query":"{ __typename }","variables":1}', headers: json }],
    ['too long', 413, { body: ' '.repeat(1_048_577), headers: json }],
    ['of another kind', 415, { body: '{}', headers: { 'content-type': 'text/plain' } }],
    ['by PUT', 405, { method: 'PUT', body: '{}', headers: json }],
    ['a mutation by GET', 405, { method: 'GET', path: '?query=mutation{deleteEmptySessions{__typename}}' }],
    ['an empty GET', 200, { method: 'GET', headers: { accept: 'application/json' } }],
  ])('%s', async (_what, status, { path = '', ...init }) => {
    const response = await fetch(`${app.url}/graphql${path}`, { method: 'POST', ...init })
    const body = (await response.json()) as GraphqlAnswer
    expect([response.status, body.errors?.map(({ extensions }) => typeof extensions?.code)]).toEqual([
      status,
      ['string'],
    ])
  })
})
