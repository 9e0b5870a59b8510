import { afterAll, beforeAll, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'

let app: TestApp
beforeAll(async () => void (app = await startApp()))
afterAll(() => app?.stop())

const persistedQuery = { version: 1, sha256Hash: 'a'.repeat(64) }

async function send(body: object, accept: string): Promise<[number, unknown]> {
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept },
    body: JSON.stringify(body),
  })
  return [response.status, await response.json()]
}

it.each(['application/json', 'application/graphql-response+json', '*/*'])(
  'a hash without a text is declined, so that Apollo’s link sends the text, as %s',
  async (accept) => {
    const [status, body] = await send({ extensions: { persistedQuery } }, accept)
    expect(status).toBe(200)
    expect(body).toEqual({
      errors: [{ message: 'PersistedQueryNotSupported', extensions: { code: 'PERSISTED_QUERY_NOT_SUPPORTED' } }],
    })
  },
)

it('a text beside its hash is answered', async () => {
  const asked = { query: '{ __typename }', extensions: { persistedQuery } }
  expect(await send(asked, 'application/json')).toEqual([200, { data: { __typename: 'Query' } }])
})
