import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { gql, openSocket, post, signIn, type Person } from '../support/clients.ts'
import { createSession, mutate } from '../support/operations.ts'

let app: TestApp
let ada: Person
let sessionId: string
beforeAll(async () => {
  app = await startApp()
  ada = await signIn(app)
  sessionId = await createSession(app, ada)
})
afterAll(() => app?.stop())

const ran = globalThis as { codeRan?: boolean }
beforeEach(() => {
  delete ran.codeRan
})
afterEach(() => {
  expect(ran.codeRan).toBeUndefined()
})

/** Often enough for whatever is done with an operation only once it is known. */
const repeats = 5

const code = 'globalThis.codeRan = true'
const literals: [name: string, text: string][] = [
  ['an end of a double-quoted string', `"; ${code}; "`],
  ['an end of a single-quoted string', `'; ${code}; '`],
  ['an end of a template', `\`; ${code}; \``],
  ['a placeholder of a template', `\${${code}}`],
  ['an escaped end of a string', `\\"; ${code}; \\"`],
  ['a line separator', `\u2028${code}\u2029`],
  ['an end of a comment', `*/ ${code} /*`],
  ['an end of a script', `</script><script>${code}</script>`],
  ['an expression', `0 + (${code})`],
  // graphql-jit read this mark in a client's text as one of its own, and ran what stands behind it
  ['a mark of a code generator', `__MAGIC_DATE__33a9e76d_02e0_4128_8e92_3530ad3da74d0 + (${code})`],
]

describe.each(literals)('%s in a literal argument', (_name, text) => {
  const written = JSON.stringify(text)
  const operations = () => ({
    'a string': `{ node(id: ${written}) { __typename } __type(name: ${written}) { name } }`,
    'a block string': `{ node(id: """\n${text.replaceAll('"""', '')}\n""") { __typename } }`,
    'an argument of an argument': `{ session(id: "${sessionId}") { messages(first: 1, after: ${written}) { totalCount } } }`,
    'a directive': `{ node(id: ${written}) @include(if: true) { __typename } }`,
    'a default of a variable': `query ($id: ID! = ${written}) { node(id: $id) { __typename } }`,
  })

  it.each(Object.keys(operations()) as (keyof ReturnType<typeof operations>)[])(
    'is nothing but text as %s',
    async (where) => {
      const query = operations()[where]
      const first = await post(app, query, {}, ada)
      expect(first.body.errors?.map(({ extensions }) => extensions?.code) ?? []).not.toContain('INTERNAL')
      for (let turn = 1; turn < repeats; turn++) expect((await post(app, query, {}, ada)).body).toEqual(first.body)
      const socket = await openSocket(app, { token: ada.token })
      for (let turn = 0; turn < repeats; turn++) {
        socket.subscribe(`${turn}`, query)
        expect((await socket.nextOf(`${turn}`)).payload).toEqual(first.body)
      }
      await socket.close()
    },
  )

  it('is stored as it is', async () => {
    const create = `mutation { createSession(input: { title: ${written}, metadata: { nested: [{ text: ${written} }] } }) {
      ... on CreateSessionSuccess { session { title metadata } } } }`
    for (let turn = 0; turn < repeats; turn++) {
      const { createSession: made } = await gql<{ createSession: unknown }>(app, create, {}, ada)
      expect(made).toEqual({ session: { title: text, metadata: { nested: [{ text }] } } })
    }
  })

  it('is nothing but text in what a subscription asks of its events', async () => {
    const query = `subscription { sessionEvents(sessionId: "${sessionId}") {
      ... on SessionUpdated { session { title messages(first: 1, after: ${written}) { totalCount } } } } }`
    const socket = await openSocket(app, { token: ada.token })
    socket.subscribe('1', query)
    await socket.roundTrip()
    await mutate(app, ada, 'updateSession', { sessionId, title: text })
    const { payload } = await socket.nextOf('1')
    expect(payload).toMatchObject({ errors: [{ extensions: { code: 'INVALID_INPUT' } }] })
    await socket.close()
  })
})

it.each(['constructor', '__proto__', 'globalThis', 'toString'])(
  'the enum value or key %s is nothing but a name',
  async (name) => {
    const scope = await post(app, `{ stats(scope: ${name}) { messages } }`, {}, ada)
    expect(scope.body.errors?.[0]?.extensions?.code).toBe('GRAPHQL_VALIDATION_FAILED')
    const create = `mutation { createSession(input: { metadata: { ${name}: "x" } }) { ... on CreateSessionSuccess { session { metadata } } } }`
    const first = await post(app, create, {}, ada)
    for (let turn = 1; turn < repeats; turn++) expect((await post(app, create, {}, ada)).body).toEqual(first.body)
    expect(({} as Record<string, unknown>).x).toBeUndefined()
  },
)
