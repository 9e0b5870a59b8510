import { createServer, request, type Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RequestListenerWith } from '../../server/http/plainPost.ts'
import { startTrail } from '../../server/http/trail.ts'
import { createGraphqlServer } from '../../server/http/yoga.ts'
import { EventStreams } from '../../server/websocket/eventStreams.ts'
import { SharedFollows } from '../../server/websocket/sharedFollow.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { post, signIn, type Person } from '../support/clients.ts'

let app: TestApp
let ada: Person
/** Answers by the way that a header names: ours, or Yoga's own with the fetch API's requests and responses. */
let both: Server
beforeAll(async () => {
  app = await startApp({ env: { MAX_BODY_BYTES: '20000' } })
  ada = await signIn(app)
  const { services } = app
  const streams = new EventStreams(new SharedFollows(), services.config)
  const { yoga, answerPost } = createGraphqlServer(services, (args) => streams.subscribe(args))
  both = createServer((incoming, response) => {
    startTrail(services, incoming)
    if (incoming.headers['x-way'] === 'plain') return void answerPost(incoming, response, '127.0.0.1')
    void (yoga as unknown as RequestListenerWith)(incoming, response, { address: '127.0.0.1' })
  })
  await new Promise<void>((resolve) => both.listen(0, '127.0.0.1', resolve))
})
afterAll(async () => {
  await new Promise((resolve) => (both ? both.close(resolve) : resolve(undefined)))
  await app?.stop()
})

const telling = ['content-type', 'allow', 'accept', 'cache-control', 'set-cookie'] as const

/** What a client sees of an answer. Which words an engine has for a slip in JSON is nobody's to rely on. */
async function ask(way: 'plain' | 'fetch', body: string | Buffer, headers: Record<string, string>) {
  const { promise, resolve, reject } = Promise.withResolvers<object>()
  const { port } = both.address() as AddressInfo
  // a connection each: Yoga leaves one that it refused too long a body on unusable
  const options = { port, path: '/graphql', method: 'POST', agent: false, headers: { ...headers, 'x-way': way } }
  request(options, (response) => {
    let text = ''
    response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    response.on('error', reject).on('end', () =>
      resolve({
        status: response.statusCode,
        reason: response.statusMessage,
        ...Object.fromEntries(telling.map((name) => [name, response.headers[name]])),
        text: text.replace(/,"originalError":\{.*?"\}(?=\}\}\])/s, '').replace(/Content-Length: \d+/, ''),
      }),
    )
  })
    .on('error', reject)
    .end(body)
  return promise
}

async function expectSame(body: string | Buffer, headers: Record<string, string | undefined>): Promise<void> {
  const sent = Object.fromEntries(
    Object.entries({
      'content-type': 'application/json',
      authorization: `Bearer ${ada.token}`,
      ...headers,
    }).filter((header): header is [string, string] => header[1] !== undefined),
  )
  const what = `${JSON.stringify(body.toString().slice(0, 80))} with ${JSON.stringify(headers)}`
  const [ours, theirs] = await Promise.all([ask('plain', body, sent), ask('fetch', body, sent)])
  expect(ours, what).toEqual(theirs)
}

const asJson = (query: unknown, more: object = {}): string => JSON.stringify({ query, ...more })
const byId = 'query ($id: ID!) { session(id: $id) { id } }'
const tooLong = asJson('{ __typename }', { extensions: { padding: 'x'.repeat(25_000) } })

const accepts = [
  undefined,
  '',
  '*/*',
  '*',
  '*/json',
  'application/*',
  'application/json',
  'APPLICATION/JSON',
  'application/json; charset=utf-8',
  'application/json; charset=latin1',
  'application/json;q=0',
  'application/json ; q=0.5, text/event-stream',
  'application/json;q=0.5;charset=latin1, multipart/mixed',
  'application/graphql-response+json',
  'application/graphql-response+json, application/json;q=0.9',
  'application/problem+json',
  'text/event-stream, application/problem+json',
  'text/event-stream, application/json',
  'application/json, text/event-stream',
  'text/event-stream, application/json; charset=latin1',
  'text/event-stream, image/*',
  'text/event-stream',
  'text/*',
  'text/html',
  'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'multipart/mixed, */*',
  'multipart/mixed',
  'multipart/*',
]

describe('a POST is answered as Yoga itself answers it', () => {
  it.each(accepts)('to who accepts %s', async (accept) => {
    for (const body of [asJson('{ viewer { id } }'), asJson('{ nope }'), '{', 'null', '', tooLong])
      await expectSame(body, { accept })
    await expectSame(tooLong, { accept, 'transfer-encoding': 'chunked' })
  })

  it.each<[string, string | Buffer]>([
    ['a number', '42'],
    ['a text', '"{ __typename }"'],
    ['a list', '[]'],
    ['a batch', `[${asJson('{ __typename }')}]`],
    ['an empty object', '{}'],
    ['blanks', ' '],
    ['a byte order mark', `\uFEFF${asJson('{ __typename }')}`],
    ['UTF-16', Buffer.from(asJson('{ __typename }'), 'utf16le')],
    ['what is not UTF-8', Buffer.from(asJson('{ __typename } # \u00ff'), 'latin1')],
    ['a query that is null', asJson(null)],
    ['a query that is a number', asJson(1)],
    ['a query that is a list', asJson(['{ __typename }'])],
    ['an empty query', asJson('')],
    ['half a query', asJson('{')],
    ['a parameter that nobody knows', asJson('{ __typename }', { nope: 1 })],
    ['a prototype', '{"__proto__":{"query":"{ __typename }"}}'],
    ['a parameter named as the prototype', '{"query":"{ __typename }","__proto__":{"a":1}}'],
    ['two queries, of which the last counts', '{"query":"subscription { a }","query":"{ __typename }"}'],
    ['variables in a list', asJson('{ __typename }', { variables: [] })],
    ['variables in a text', asJson('{ __typename }', { variables: '{}' })],
    ['variables that are null', asJson('{ __typename }', { variables: null })],
    ['a variable that is missing', asJson(byId)],
    ['a variable of another type', asJson(byId, { variables: { id: {} } })],
    ['an id that is nobody’s', asJson(byId, { variables: { id: 'x' } })],
    ['extensions in a text', asJson('{ __typename }', { extensions: 'x' })],
    ['an operation that is not there', asJson('query A { __typename }', { operationName: 'B' })],
    ['the name of an operation that is a number', asJson('{ __typename }', { operationName: 1 })],
    ['two operations and no name', asJson('query A { __typename } query B { __typename }')],
    ['a mutation', asJson('mutation { deleteEmptySessions { __typename } }')],
    ['too many levels', asJson(`${'{ viewer '.repeat(50)}{ id }${' }'.repeat(50)}`)],
    ['too many characters', asJson(`{ __typename ${'#'.repeat(16_000)}\n}`)],
    ['too deep a list', asJson('{ __typename }', { extensions: { a: 1 } }).replace('1', '['.repeat(5_000))],
    ['a subscription', asJson('subscription { sessionEvents(sessionId: "x") { __typename } }')],
    [
      'a subscription that is spelt out',
      asJson('SUB { typing(sessionId: "x") { isTyping } }').replace('SUB', '\\u0073ubscription'),
    ],
    ['an id in the place of a query', asJson('', { extensions: { persistedQuery: { sha256Hash: 'abc' } } })],
    ['only an id', '{"documentId":"abc"}'],
  ])('where the body is %s', async (_what, body) => {
    for (const accept of [undefined, 'application/json', 'application/graphql-response+json', 'text/event-stream'])
      await expectSame(body, { accept })
  })

  it.each([undefined, 'Bearer x', 'nonsense', 'Bearer '])(
    'where the Authorization header is %s',
    async (authorization) => {
      for (const accept of [undefined, 'application/graphql-response+json', 'text/event-stream'])
        await expectSame(asJson('{ viewer { id } }'), { authorization, accept })
    },
  )
})

describe('the connection', () => {
  const head = (length: number): string =>
    `POST /graphql HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n`
  const named = (name: string): string => asJson(`{ ${name}: __typename }`)
  const asked = (name: string, more = ''): string => `${head(named(name).length)}${more}\r\n${named(name)}`

  /** What comes back on a connection of its own until all of these are in it. */
  async function talk(text: string, awaited: readonly string[]): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>()
    let answer = ''
    const socket = connect(app.port, '127.0.0.1', () => socket.write(text))
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      answer += chunk
      if (awaited.every((part) => answer.includes(part))) resolve(answer)
    })
    socket.on('error', reject).on('close', () => reject(new Error(`closed after ${JSON.stringify(answer)}`)))
    return promise.finally(() => socket.destroy())
  }

  it('answers what was sent without waiting for answers, in its order', async () => {
    const names = ['a', 'b', 'c'].map((name) => `"data":{"${name}":"Query"}`)
    const answer = await talk(['a', 'b', 'c'].map((name) => asked(name)).join(''), names)
    expect(names.map((name) => answer.indexOf(name))).toEqual(
      names.map((name) => answer.indexOf(name)).toSorted((a, b) => a - b),
    )
    expect(answer.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(3)
  })

  it('is told to go on where it asks first', async () => {
    expect(await talk(asked('a', 'expect: 100-continue\r\n'), ['"a":"Query"'])).toMatch(/^HTTP\/1\.1 100 Continue\r\n/)
  })

  it('may be cut in the middle of a body, and others are served on', async () => {
    for (const cut of ['destroy', 'resetAndDestroy', 'end'] as const) {
      const socket = connect(app.port, '127.0.0.1')
      const closed = new Promise((resolve) => socket.once('close', resolve))
      socket.on('error', () => undefined).resume()
      await new Promise<void>((resolve) => socket.write(`${head(1_000)}\r\n{"query":`, () => resolve()))
      socket[cut]()
      await closed
      expect((await post(app, '{ __typename }')).status).toBe(200)
    }
    expect(app.logged).toEqual([])
  })
})
