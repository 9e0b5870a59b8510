import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Asker, noTally } from '../../faults/support/badAsking.ts'
import { anyCase } from '../../faults/support/badCases.ts'
import { compared } from '../../faults/support/inputAttack.ts'
import { openStored, type Stored } from '../../faults/support/stored.ts'
import { schema } from '../../server/schema/schema.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { createSession } from '../support/operations.ts'

let app: TestApp
let stored: Stored
let asker: Asker
beforeAll(async () => {
  app = await startApp()
  stored = await openStored(app.services.config.databaseUrl)
  asker = new Asker(app, anyCase(schema).fields, noTally())
  // the operation in each body would delete it
  await createSession(app, { id: '', name: '', token: await asker.token() })
})
afterAll(async () => {
  await asker?.close()
  await stored?.close()
  await app?.stop()
})

const query = 'mutation { deleteEmptySessions { __typename } }'
const good = JSON.stringify({ query, variables: { a: 1 }, operationName: null })
const sessions = (key: string, value: string): string => `{"query":${JSON.stringify(query)},"${key}":${value}}`

const bodies: [what: string, body: string | Buffer][] = [
  ...Array.from({ length: 20 }, (_, n): [string, string] => {
    const length = Math.floor((good.length * n) / 20)
    return [`cut off after ${length} characters`, good.slice(0, length)]
  }),
  ['in UTF-16, little end first', Buffer.from(good, 'utf16le')],
  ['in UTF-16 with a mark', Buffer.from(`\ufeff${good}`, 'utf16le')],
  ['compressed, without saying so', gzipSync(good)],
  [
    'of bytes that are no UTF-8',
    Buffer.concat([Buffer.from('{"query":"'), Buffer.from([0xff, 0xfe, 0xc0, 0x80]), Buffer.from('"}')]),
  ],
  ['with half a character at its end', Buffer.concat([Buffer.from(good.slice(0, -1)), Buffer.from([0xe2, 0x82])])],
  ['twice in a row', good + good],
  ['with a comma too many', good.replace(/\}$/, ',}')],
  ['in single quotes', good.replaceAll('"', "'")],
  ['with a comment', `/* hello */${good}`],
  ['with NUL before and behind', `\0${good}\0`],
  ['as a number', '42'],
  ['as a number beyond all numbers', '1e999'],
  ['as true', 'true'],
  ['as a string', JSON.stringify(query)],
  ['as null', 'null'],
  ['as an empty list', '[]'],
  ['as a list of one', `[${good}]`],
  ['as a list of two', `[${good},${good}]`],
  ['as lists in lists, 100,000 deep', '['.repeat(100_000)],
  ['as lists in lists, 100,000 deep and closed', '['.repeat(100_000) + ']'.repeat(100_000)],
  ['as objects in objects, 100,000 deep', '{"a":'.repeat(100_000)],
  ['with no query', '{}'],
  ['with two queries, of which the last is none', `{"query":${JSON.stringify(query)},"query":7}`],
  ['with a prototype instead of a query', `{"__proto__":{"query":${JSON.stringify(query)}}}`],
  ['with a constructor instead of a query', `{"constructor":{"prototype":{"query":${JSON.stringify(query)}}}}`],
  ...['7', 'null', 'true', '[]', '{}', '""', '"\\u0000"', '"\\ud800"'].map((value): [string, string] => [
    `with query ${value}`,
    `{"query":${value}}`,
  ]),
  ...['7', '"text"', 'true', '[]'].map((value): [string, string] => [
    `with variables ${value}`,
    sessions('variables', value),
  ]),
  ...['7', 'true', '[]', '{}', '"Nobody"'].map((value): [string, string] => [
    `with operationName ${value}`,
    sessions('operationName', value),
  ]),
  ...['7', '"text"', 'true', '[]'].map((value): [string, string] => [
    `with extensions ${value}`,
    sessions('extensions', value),
  ]),
]

describe.each(['application/json', 'text/event-stream'])('bodies for who accepts %s', (accept) => {
  it.each(bodies)('are refused, and change nothing: %s', async (_what, body) => {
    const { changed, answers } = await compared({ stored, isSqlite: true }, asker, async () => ({
      answers: await asker.post(body, { 'content-type': 'application/json', accept }, await asker.token()),
    }))
    expect(changed).toEqual([])
    expect(answers).toHaveLength(1)
    expect(answers[0]!.errors!.length).toBeGreaterThan(0)
    for (const { message } of answers[0]!.errors!) expect(message).toMatch(/\w/)
  })
})

it('a mark before a body is left out, as readers of JSON may do', async () => {
  const [answer] = await asker.post(`\ufeff{"query":"{ __typename }"}`)
  expect(answer!.data ?? answer!.errors).toBeTruthy()
})

it('keys that JavaScript would take for its own do nothing', async () => {
  const [answer] = await asker.post(
    '{"query":"{ __typename }","__proto__":{"isAdmin":true},"constructor":1,"toString":2}',
  )
  expect(answer!.data ?? answer!.errors).toBeTruthy()
  expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined()
})

it('nothing of all this was an error of the server', () => {
  expect(asker.tally).toMatchObject({ fives: 0, unmasked: 0 })
  expect(app.logged).toEqual([])
})
