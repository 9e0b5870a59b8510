import { createServer, request, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RequestListenerWith } from '../../server/http/plainPost.ts'
import { startTrail } from '../../server/http/trail.ts'
import { createGraphqlServer } from '../../server/http/yoga.ts'
import { Compiler } from '../../server/schema/compile.ts'
import { EventStreams } from '../../server/websocket/eventStreams.ts'
import { SharedFollows } from '../../server/websocket/sharedFollow.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { signIn, type Person } from '../support/clients.ts'

let app: TestApp
let ada: Person
let url: string
let close: () => void
beforeAll(async () => {
  app = await startApp()
  ada = await signIn(app)
  const { services } = app
  const streams = new EventStreams(new SharedFollows(new Compiler()), services.config)
  const { yoga, answerPost } = createGraphqlServer(services, new Compiler(), (args) => streams.subscribe(args))
  const server = createServer((incoming, response) => {
    startTrail(services, incoming)
    if (incoming.headers['x-way'] === 'plain') return void answerPost(incoming, response, '127.0.0.1')
    void (yoga as unknown as RequestListenerWith)(incoming, response, { address: '127.0.0.1' })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`
  close = () => server.close()
})
afterAll(async () => {
  close?.()
  await app?.stop()
})

interface Answer {
  status: number | undefined
  message: string | undefined
  type: string | undefined
  allow: string | undefined
  accept: string | undefined
  cache: string | undefined
  vary: string | undefined
  body: string
  error?: string
  headers: string[]
}

function send(way: string, body: string | Buffer, headers: Record<string, string | string[]> = {}): Promise<Answer> {
  return new Promise((resolve) => {
    const sending = request(url, { method: 'POST', headers: { 'content-type': 'application/json', ...headers, 'x-way': way }, timeout: 3000 }, (response) => {
      const chunks: Buffer[] = []
      const done = (error?: string) => {
        const h: IncomingHttpHeaders = response.headers
        resolve({
          status: response.statusCode, message: response.statusMessage, type: h['content-type'], allow: h.allow, accept: h.accept, cache: h['cache-control'], vary: h.vary,
          body: Buffer.concat(chunks).toString(), headers: Object.keys(h).filter((n) => !['date','transfer-encoding','content-length','x-way','connection','keep-alive'].includes(n)).sort(), ...(error ? { error } : {}) })
      }
      response.on('data', (c: Buffer) => chunks.push(c))
      response.on('end', () => done())
      response.on('error', (e) => done(e.message))
    })
    sending.on('timeout', () => sending.destroy(new Error('hang')))
    sending.on('error', (e: NodeJS.ErrnoException) => resolve({ status: undefined, message: undefined, type: undefined, allow: undefined, accept: undefined, cache: undefined, vary: undefined, body: '', headers: [], error: e.code ?? e.message }))
    sending.end(body)
  })
}

const q = JSON.stringify({ query: '{ __typename }' })
const accepts = [undefined, '', '*/*', 'application/json', 'application/graphql-response+json', 'application/graphql-response+json, application/json;q=0.9', 'text/event-stream', 'multipart/mixed', 'text/html', 'text/event-stream, application/json', 'application/json, text/event-stream', 'application/json, multipart/mixed', 'multipart/mixed, application/json', 'multipart/mixed, */*', '*/*, text/event-stream', 'application/json;q=0', 'application/json;q=0, text/event-stream', 'application/*', 'text/*', '*', 'image/png, */*;q=0.1', 'APPLICATION/JSON', 'application/json; charset=latin1', 'application/json; charset=utf-8', 'json', 'application/problem+json', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'multipart/*', 'text/event-stream, application/problem+json', 'text/event-stream, application/json; charset=latin1', 'application/json;q=0.5;charset=latin1, multipart/mixed', '*/json', 'text/event-stream, image/*', 'application/json , text/plain', ' application/json', 'a,application/json ;q=0.1, text/event-stream', 'application/graphql+json', 'application/ json']
const bodies: [string, string | Buffer][] = [
  ['query', q], ['null', 'null'], ['array', '[]'], ['batch', `[${q}]`], ['number', '42'], ['string', '"x"'], ['true', 'true'], ['empty', ''], ['space', ' '], ['{', '{'], ['{}', '{}'],
  ['bom', Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(q)])], ['utf16', Buffer.from(q, 'utf16le')],
  ['badutf8', Buffer.concat([Buffer.from('{"query":"{ __typename } #'), Buffer.from([0xff, 0xc3]), Buffer.from('"}')])],
  ['badutf8name', Buffer.concat([Buffer.from('{"query":"query A'), Buffer.from([0xff]), Buffer.from(' { __typename }"}')])],
  ['nul', '\0'], ['query null', '{"query":null}'], ['query number', '{"query":1}'], ['query empty', '{"query":""}'], ['query array', '{"query":["{ __typename }"]}'], ['query object', '{"query":{}}'],
  ['syntax', '{"query":"{"}'], ['unknown field', '{"query":"{ nope }"}'], ['unknown param', '{"query":"{ __typename }","nope":1}'], ['vars array', '{"query":"{ __typename }","variables":[]}'], ['vars string', '{"query":"{ __typename }","variables":"x"}'], ['vars null', '{"query":"{ __typename }","variables":null}'], ['ext string', '{"query":"{ __typename }","extensions":"x"}'], ['ext null', '{"query":"{ __typename }","extensions":null}'], ['ext array', '{"query":"{ __typename }","extensions":[]}'],
  ['opname', '{"query":"{ __typename }","operationName":"Nope"}'], ['opname num', '{"query":"{ __typename }","operationName":1}'], ['opname empty', '{"query":"{ __typename }","operationName":""}'], ['two ops', '{"query":"query A { __typename } query B { __typename }"}'],
  ['missing var', '{"query":"query ($id: ID!) { session(id: $id) { id } }"}'], ['wrong var', '{"query":"query ($id: ID!) { session(id: $id) { id } }","variables":{"id":{}}}'], ['not there', '{"query":"query ($id: ID!) { session(id: $id) { id } }","variables":{"id":"x"}}'],
  ['viewer', '{"query":"{ viewer { id } }"}'], ['mutation', '{"query":"mutation { deleteEmptySessions { __typename } }"}'], ['create', '{"query":"mutation { createSession(input: {}) { __typename } }"}'],
  ['subscription', '{"query":"subscription { sessionEvents(sessionId: \\"x\\") { __typename } }"}'], ['subscription esc', '{"query":"s\\u0075bscription { sessionEvents(sessionId: \\"x\\") { __typename } }"}'], ['comment', '{"query":"{ __typename } # subscription"}'],
  ['proto', '{"__proto__":{"query":"{ __typename }"}}'], ['proto2', '{"query":"{ __typename }","__proto__":{"variables":1}}'], ['dup', '{"query":"subscription { a }","query":"{ __typename }"}'], ['documentId', '{"documentId":"abc"}'], ['apq', '{"extensions":{"persistedQuery":{"sha256Hash":"abc","version":1}}}'], ['apq q', '{"query":"","extensions":{"persistedQuery":{"sha256Hash":"abc","version":1}}}'],
  ['deep', `{"query":"${'{ viewer '.repeat(50)}{ id }${' }'.repeat(50)}"}`], ['huge', JSON.stringify({ query: `{ __typename ${'#'.repeat(20_000)}\n}` })], ['toolarge', JSON.stringify({ query: '{ __typename }', extensions: { p: 'x'.repeat(1_200_000) } })], ['nested json', `{"query":"{ __typename }","extensions":${'['.repeat(5000)}${']'.repeat(5000)}}`],
  ['toolarge bad', 'x'.repeat(1_200_000)],
]
const unhandled: unknown[] = []
describe('explore', () => {
  it('diff', { timeout: 300_000 }, async () => {
    process.on('unhandledRejection', (e) => unhandled.push(e))
    let n = 0
    for (const [name, body] of bodies)
      for (const chunked of [false, true]) for (const accept of accepts)
       for (const auth of name === 'viewer' || name === 'query' ? ['', `Bearer ${ada.token}`, 'Bearer x', 'nonsense'] : [`Bearer ${ada.token}`]) {
        const headers: Record<string, string> = { ...(chunked ? { 'transfer-encoding': 'chunked' } : {}), ...(accept === undefined ? {} : { accept }), ...(auth ? { authorization: auth } : {}) }
        const before = unhandled.length
        const [plain, full] = [await send('plain', body, headers), await send('fetch', body, headers)]
        n++
        await new Promise((r) => setImmediate(r))
        if (unhandled.length > before) console.log('UNHANDLED', chunked, name, accept, String(unhandled.at(-1)))
        if (JSON.stringify(plain) !== JSON.stringify(full)) console.log('DIFF', chunked ? 'C ' + name : name, '|', accept, '|', auth.slice(0, 8), '\n  P', JSON.stringify(plain).slice(0, 600), '\n  F', JSON.stringify(full).slice(0, 600))
      }
    console.log('compared', n, app.logged.slice(0, 10))
    expect(1).toBe(1)
  })
})
