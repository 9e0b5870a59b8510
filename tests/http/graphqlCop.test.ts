import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import type { GraphqlAnswer } from '../support/clients.ts'

let app: TestApp
let development: TestApp
beforeAll(async () => {
  ;[app, development] = await Promise.all([startApp({ env: { NODE_ENV: 'production' } }), startApp()])
})
afterAll(async () => {
  await Promise.all([app?.stop(), development?.stop()])
})

/** As its scanner asks: a program without a token that accepts anything. */
const asked = { 'user-agent': 'graphql-cop/1.14', accept: '*/*' }

async function send(target: string, init: RequestInit = {}): Promise<string> {
  const response = await fetch(target, { ...init, headers: { ...asked, ...init.headers } })
  return response.text()
}

const post = async (url: string, body: unknown): Promise<string> =>
  send(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })

const query = async (url: string, text: string): Promise<GraphqlAnswer> =>
  JSON.parse(await post(url, { query: text })) as GraphqlAnswer

const byUrl = (url: string, method: string, text: string): Promise<string> =>
  send(`${url}/graphql?${new URLSearchParams({ query: text })}`, { method })

const isAnswered = (text: string): boolean => {
  try {
    return Boolean((JSON.parse(text) as GraphqlAnswer).data?.__typename)
  } catch {
    return false
  }
}

const circular =
  '{ __schema { types { fields { type { fields { type { fields { type { fields { type { name } } } } } } } } } } }'

/** What graphql-cop looks for: each check says whether it has found something. */
const checks: Record<string, (url: string) => Promise<boolean>> = {
  'alias overloading': async (url) => {
    const aliases = Array.from({ length: 101 }, (_, index) => `alias${index}: __typename`)
    return Boolean((await query(url, `query { ${aliases.join('\n')} }`)).data?.alias100)
  },
  'batch queries': async (url) => {
    const answers = JSON.parse(
      await post(
        url,
        Array.from({ length: 11 }, () => ({ query: '{ __typename }' })),
      ),
    ) as unknown
    return Array.isArray(answers) && answers.length >= 10
  },
  'mutations by GET': async (url) => isAnswered(await byUrl(url, 'GET', 'mutation { __typename }')),
  'urlencoded queries by POST': async (url) =>
    isAnswered(await byUrl(url, 'POST', 'query { __typename }')) ||
    isAnswered(
      await send(`${url}/graphql`, { method: 'POST', body: new URLSearchParams({ query: 'query { __typename }' }) }),
    ),
  'queries by GET': async (url) => isAnswered(await byUrl(url, 'GET', '{ __typename }')),
  'field suggestions': async (url) =>
    JSON.stringify(await query(url, 'query { __schema { directive } }')).includes('Did you mean'),
  introspection: async (url) =>
    Boolean((await query(url, '{ __schema { types { name fields { name } } } }')).data?.__schema),
  GraphiQL: async (url) => {
    const pages = await Promise.all(
      ['/graphiql', '/playground', '/console', '/graphql'].flatMap((path) => [
        send(url + path),
        send(url + path, { headers: { accept: 'text/html' } }),
      ]),
    )
    return pages.some((page) => /graphiql|graphql.playground/i.test(page))
  },
  'trace mode': async (url) => {
    const answers = [await query(url, 'query { __typename }'), await query(url, 'qwerty cop { abc }')]
    return answers.some(
      (answer) => 'extensions' in answer || /stacktrace|"exception"|tracing/i.test(JSON.stringify(answer)),
    )
  },
  'directive overloading': async (url) =>
    ((await query(url, `query { __typename ${'@aa'.repeat(10)} }`)).errors?.length ?? 0) >= 10,
  'circular introspection': async (url) => Boolean((await query(url, circular)).data?.__schema),
  'field duplication': async (url) =>
    Boolean((await query(url, `query { ${'__typename \n'.repeat(500)} }`)).data?.__typename),
}

describe("graphql-cop's twelve checks", () => {
  it.each(Object.entries(checks))('find nothing in production: %s', async (_name, isFound) => {
    expect(await isFound(app.url)).toBe(false)
  })

  it.each([
    'alias overloading',
    'batch queries',
    'directive overloading',
    'circular introspection',
    'field duplication',
  ])('find no way to overload a server in development either: %s', async (name) => {
    expect(await checks[name]!(development.url)).toBe(false)
  })

  it('can find something: introspection, suggestions, GraphiQL and GET, which a server in development has', async () => {
    for (const name of ['introspection', 'field suggestions', 'GraphiQL', 'queries by GET'])
      expect(await checks[name]!(development.url), name).toBe(true)
  })
})
