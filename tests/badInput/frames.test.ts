import { connect } from 'node:net'
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { closesForBadFrames } from '../../faults/support/badAsking.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { openSocket, signIn, type BareSocket, type Person } from '../support/clients.ts'

let app: TestApp
let ada: Person
beforeAll(async () => {
  app = await startApp()
  ada = await signIn(app)
})
afterAll(() => app?.stop())

/** Code that the socket is closed with, or 0 where it still answers. */
async function closedFor(socket: BareSocket): Promise<number> {
  const answers = socket.roundTrip().then(
    () => 0,
    () => socket.closed.then(({ code }) => code),
  )
  return Promise.race([socket.closed.then(({ code }) => code), answers])
}

const query = '{ __typename }'
const subscribe = (id: unknown, payload: unknown = { query }): string =>
  JSON.stringify({ id, type: 'subscribe', payload })

const frames: [what: string, frame: string | Buffer, code: number | readonly number[]][] = [
  ['binary, of a message', Buffer.from(subscribe('1')), [0, 4400]],
  ['binary, of nothing', Buffer.alloc(0), 4400],
  ['binary, of noise', randomBytes(200), 4400],
  ['of nothing', '', 4400],
  ['of a message that is cut off', subscribe('1').slice(0, -3), 4400],
  ['of two messages', subscribe('1') + subscribe('2'), 4400],
  ['of lists in lists, 60,000 deep', '['.repeat(60_000), 4400],
  [
    'of objects in objects, 10,000 deep',
    `{"id":"1","type":"subscribe","payload":${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}}`,
    [0, 4400],
  ],
  [
    'of variables that are 5,000 deep',
    subscribe('1', { query }).replace('}}', `,"variables":{"a":${'['.repeat(5_000)}${']'.repeat(5_000)}}}}`),
    0,
  ],
  ...[5, null, true, {}, [], ['1']].map((id): [string, string, number] => [
    `with the id ${JSON.stringify(id)}`,
    subscribe(id),
    4400,
  ]),
  ['with an id of 50,000 characters', subscribe('x'.repeat(50_000)), [0, 4400]],
  ['with NUL and half a character as its id', subscribe('\0\ud800'), 0],
  ['with a prototype as its id', subscribe('__proto__'), [0, 4409]],
  ['with a constructor as its id', subscribe('constructor'), [0, 4409]],
  ['with a type that JavaScript has already', '{"type":"constructor"}', 4400],
  ['with a type that is a number', '{"type":1}', 4400],
  ['with a prototype', '{"__proto__":{"type":"connection_init"}}', 4400],
  ['with its type twice', '{"type":"nope","type":"ping"}', 0],
  ['that completes a number', '{"id":7,"type":"complete"}', 4400],
  ['that completes a prototype', '{"id":"__proto__","type":"complete"}', 0],
  ['that completes a constructor', '{"id":"constructor","type":"complete"}', 0],
  ['that pings with text', '{"type":"ping","payload":"text"}', [0, 4400]],
  ['with half a character in its query', subscribe('1', { query: '{ a\ud800 }' }), 0],
  ['with extensions that are text', subscribe('1', { query, extensions: 'text' }), 4400],
  ['with a name that is a list', subscribe('1', { query, operationName: ['A'] }), 4400],
]

describe('a frame', () => {
  it.each(frames)('%s', async (_what, frame, code) => {
    const socket = await openSocket(app, { token: ada.token })
    socket.socket.send(frame)
    expect([code].flat()).toContain(await closedFor(socket))
    for (const { raw } of socket.received) expect(raw).not.toMatch(/INTERNAL|node_modules|\.ts:/)
    await socket.close()
  })
})

/** A frame as it goes over the wire, which no client library would send. */
const wire = (first: number, payload: Buffer, { isMasked = true, length = payload.length } = {}): Buffer => {
  const size = length < 126 ? [length] : [126, length >> 8, length & 0xff]
  size[0]! |= isMasked ? 0x80 : 0
  return Buffer.concat([Buffer.from([first, ...size]), isMasked ? Buffer.alloc(4) : Buffer.alloc(0), payload])
}

describe('bytes that are no frame', () => {
  it.each<[string, Buffer, number]>([
    ['text that is no UTF-8', wire(0x81, Buffer.from([0xc0, 0x80, 0xff])), 1007],
    ['a frame without a mask', wire(0x81, Buffer.from('{}'), { isMasked: false }), 1002],
    ['an opcode that is reserved', wire(0x83, Buffer.from('{}')), 1002],
    ['bits that are reserved', wire(0xf1, Buffer.from('{}')), 1002],
    ['a continuation of nothing', wire(0x80, Buffer.from('{}')), 1002],
    ['a ping of 126 bytes', wire(0x89, Buffer.alloc(126)), 1002],
    ['a ping in pieces', wire(0x09, Buffer.from('x')), 1002],
    ['a close frame of one byte', wire(0x88, Buffer.from([1])), 1002],
    ['a close frame with a code that no one may send', wire(0x88, Buffer.from([0x03, 0xee])), 1002],
  ])('are answered by a close frame: %s', async (_what, bytes, code) => {
    expect(closesForBadFrames).toContain(code)
    expect(await closeCodeFor(bytes)).toBe(code)
  })
})

function closeCodeFor(bytes: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    let seen = Buffer.alloc(0)
    let isOpen = false
    const socket = connect(app.port, '127.0.0.1', () =>
      socket.write(
        `GET /graphql HTTP/1.1\r\nHost: 127.0.0.1:${app.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
          'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n' +
          'Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n',
      ),
    )
    socket.on('error', reject).on('data', (chunk) => {
      seen = Buffer.concat([seen, chunk])
      const end = seen.indexOf('\r\n\r\n')
      if (!isOpen && end !== -1) {
        isOpen = true
        seen = seen.subarray(end + 4)
        socket.write(bytes)
      }
      if (!isOpen || seen.length < 4) return
      resolve(seen[0] === 0x88 ? seen.readUInt16BE(2) : -1)
      socket.destroy()
    })
  })
}

it('nothing of all this was an error of the server, which still answers', async () => {
  const socket = await openSocket(app, { token: ada.token })
  socket.subscribe('1', query)
  expect(await socket.nextOf('1')).toMatchObject({ payload: { data: { __typename: 'Query' } } })
  await socket.close()
  expect(({} as { type?: string }).type).toBeUndefined()
  expect(app.logged).toEqual([])
})
