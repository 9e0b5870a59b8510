import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { gql, post, signIn, type Person } from '../support/clients.ts'
import { createSession } from '../support/operations.ts'

let app: TestApp
let ada: Person
let sessionId: string
beforeAll(async () => {
  app = await startApp()
  ada = await signIn(app)
  sessionId = await createSession(app, ada)
})
afterAll(() => app?.stop())

const deleteEmpty = 'mutation { deleteEmptySessions { __typename } }'
const isThere = async (): Promise<boolean> =>
  (await gql<{ session: unknown }>(app, 'query ($id: ID!) { session(id: $id) { id } }', { id: sessionId }, ada))
    .session !== null

describe('a body that a page of another site could send without asking', () => {
  const form = new FormData()
  form.set('operations', JSON.stringify({ query: deleteEmpty }))
  form.set('map', '{}')

  it.each<[string, RequestInit]>([
    ['plain text', { body: JSON.stringify({ query: deleteEmpty }), headers: { 'content-type': 'text/plain' } }],
    ['a form', { body: new URLSearchParams({ query: deleteEmpty }) }],
    ['a form with files', { body: form }],
    ['GraphQL itself', { body: deleteEmpty, headers: { 'content-type': 'application/graphql' } }],
    [
      'JSON in disguise',
      { body: JSON.stringify({ query: deleteEmpty }), headers: { 'content-type': 'text/plain; application/json' } },
    ],
    ['nothing named', { body: new Blob([JSON.stringify({ query: deleteEmpty })]) }],
  ])('is refused with 415 and changes nothing: %s', async (_what, init) => {
    const headers = { ...(init.headers as Record<string, string>), authorization: `Bearer ${ada.token}` }
    const response = await fetch(`${app.url}/graphql`, { method: 'POST', ...init, headers })
    expect(response.status).toBe(415)
    expect(await isThere()).toBe(true)
  })

  it('is no mutation by GET either', async () => {
    const response = await fetch(`${app.url}/graphql?query=${encodeURIComponent(deleteEmpty)}`, {
      headers: { authorization: `Bearer ${ada.token}` },
    })
    expect(response.status).toBe(405)
    expect(await isThere()).toBe(true)
  })

  it('gets no permission to read the answer from another site', async () => {
    const response = await fetch(`${app.url}/graphql`, {
      method: 'OPTIONS',
      headers: { origin: 'http://evil.example', 'access-control-request-method': 'POST' },
    })
    expect(response.headers.get('access-control-allow-origin')).toBeNull()
  })
})

describe('a body', () => {
  it('is read with a charset, and as application/graphql+json', async () => {
    for (const type of ['application/json; charset=utf-8', 'application/graphql+json']) {
      const { status, body } = await post(app, '{ __typename }', {}, { headers: { 'content-type': type } })
      expect([status, body.data]).toEqual([200, { __typename: 'Query' }])
    }
  })

  it.each(['{', '', 'null', '"{ viewer { id } }"', '[]', '42', '\u0000'])(
    'that is no operation gets 400: %j',
    async (body) => {
      const response = await fetch(`${app.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/graphql-response+json' },
        body,
      })
      expect(response.status).toBe(400)
      const answer = (await response.json()) as { errors: { message: string }[] }
      expect(answer.errors.length).toBeGreaterThan(0)
      expect(JSON.stringify(answer)).not.toMatch(/node_modules|at .*\.ts/)
    },
  )

  it('of several operations in one is refused', async () => {
    const response = await fetch(`${app.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify([{ query: '{ __typename }' }, { query: '{ __typename }' }]),
    })
    expect(response.status).toBe(400)
  })

  it('of 1 MiB is read, and one byte more gets 413', async () => {
    const bodyOf = (bytes: number) => {
      const empty = JSON.stringify({ query: '{ __typename }', extensions: { padding: '' } })
      return empty.replace('""', `"${'x'.repeat(bytes - empty.length)}"`)
    }
    const send = (bytes: number) =>
      fetch(`${app.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: bodyOf(bytes),
      })
    expect((await send(1_048_576)).status).toBe(200)
    expect((await send(1_048_577)).status).toBe(413)
  })

  it('without a length gets 413 too, before its end', async () => {
    const status = await new Promise<number>((resolve, reject) => {
      const sending = request(
        `${app.url}/graphql`,
        { method: 'POST', headers: { 'content-type': 'application/json', 'transfer-encoding': 'chunked' } },
        (response) => {
          resolve(response.statusCode!)
          response.resume()
          sending.destroy()
        },
      )
      sending.on('error', reject)
      sending.write('{"query":"')
      // never ended: the server must not wait for the whole
      for (let sent = 0; sent < 20; sent++) sending.write('x'.repeat(65_536))
    })
    expect(status).toBe(413)
  })
})

describe('an operation', () => {
  const nested = (levels: number) => `${'{ parent '.repeat(levels)}{ id }${' }'.repeat(levels)}`

  it('may not be deeper than 10 levels, also by fragments', async () => {
    const query = (levels: number) => `query ($id: ID!) { message(id: $id) ${nested(levels)} }`
    const id = '00000000-0000-7000-8000-000000000000'
    expect((await post(app, query(8), { id }, ada)).body.errors).toBeUndefined()
    const tooDeep = await post(app, query(10), { id }, ada)
    expect(tooDeep.body.data ?? null).toBeNull()
    expect(tooDeep.body.errors?.[0]?.message).toMatch(/depth/i)
    const byFragments = await post(
      app,
      `query ($id: ID!) { message(id: $id) { ...A } } fragment A on Message ${nested(6).replace('{ id }', '{ ...B }')} fragment B on Message ${nested(6)}`,
      { id },
      ada,
    )
    expect(byFragments.body.errors?.[0]?.message).toMatch(/depth/i)
  })

  it('may not have more than 1,000 tokens', async () => {
    const ask = (tokens: number) =>
      post(
        app,
        `mutation { deleteSessions(input: { sessionIds: [${'"" '.repeat(tokens - 17)}] }) { __typename } }`,
        {},
        ada,
      )
    expect((await ask(1_000)).body.data).toEqual({ deleteSessions: { __typename: 'InvalidInputError' } })
    const { body } = await ask(1_001)
    expect(body.data ?? null).toBeNull()
    expect(body.errors?.[0]?.message).toMatch(/token/i)
  })

  it('may not have more than 15,000 characters', async () => {
    const query = (characters: number) => '{ __typename }'.padEnd(characters)
    expect((await post(app, query(15_000))).body.errors).toBeUndefined()
    const { body } = await post(app, query(15_001))
    expect(body.data ?? null).toBeNull()
    expect(body.errors?.[0]).toMatchObject({ extensions: { code: 'INVALID_INPUT' } })
  })

  it('that is wrong in itself tells where, and nothing of the server', async () => {
    const { body } = await post(app, '{ viewer { nix } }')
    expect(body.errors?.[0]).toMatchObject({
      message: expect.stringContaining('nix'),
      locations: [{ line: 1, column: 12 }],
    })
    expect(JSON.stringify(body)).not.toMatch(/node_modules|stack/)
  })
})
