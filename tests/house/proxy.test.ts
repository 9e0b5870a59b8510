import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startProxy, type Proxy } from '../support/proxy.ts'
import { testRandom } from '../support/random.ts'

let echo: Server
let proxy: Proxy
let served: Socket[]

beforeEach(async () => {
  served = []
  echo = createServer((socket) => {
    served.push(socket)
    socket.on('error', () => {})
    socket.pipe(socket)
  }).listen(0, '127.0.0.1')
  await once(echo, 'listening')
  proxy = await startProxy({ port: (echo.address() as AddressInfo).port })
})

afterEach(async () => {
  await proxy.stop()
  for (const socket of served) socket.destroy()
  await new Promise((resolve) => echo.close(resolve))
})

async function open(): Promise<Socket> {
  const socket = connect(proxy.port, '127.0.0.1')
  await once(socket, 'connect')
  return socket
}

async function read(socket: Socket, bytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  while (length < bytes) {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    chunks.push(chunk)
    length += chunk.length
  }
  return Buffer.concat(chunks)
}

test('bytes pass both ways unchanged, more than any buffer holds', async () => {
  const random = testRandom()
  const sent = Buffer.from(Uint8Array.from({ length: 3_000_000 }, () => random.int(0, 255)))
  const socket = await open()
  const received = read(socket, sent.length)
  socket.end(sent)
  expect((await received).equals(sent)).toBe(true)
  await once(socket, 'close')
})

test('a reset is an error to the client and to the server', async () => {
  const socket = await open()
  const echoed = read(socket, 2)
  socket.write('hi')
  await echoed
  const failed = Promise.all([socket, served[0]!].map((side) => once(side, 'error')))
  expect(proxy.cutAll('rst')).toBe(1)
  const errors = await failed
  expect(errors.map(([error]) => error.code)).toEqual(['ECONNRESET', 'ECONNRESET'])
})

test('an orderly cut ends the client without an error', async () => {
  const socket = await open()
  const echoed = read(socket, 2)
  socket.write('hi')
  await echoed
  socket.resume()
  expect(proxy.cutAll('fin')).toBe(1)
  const [hadError] = await once(socket, 'close')
  expect(hadError).toBe(false)
})

test('a half-open connection swallows what is written while a new one works', async () => {
  const swallowed = await open()
  const echoed = read(swallowed, 2)
  swallowed.write('hi')
  await echoed
  expect(proxy.cutAll('half-open')).toBe(1)
  let heard = 0
  swallowed.on('data', (chunk: Buffer) => (heard += chunk.length)).on('close', () => (heard = -1))
  swallowed.write('anyone?')

  const fresh = await open()
  const answer = read(fresh, 4)
  fresh.write('here')
  expect((await answer).toString()).toBe('here')
  expect(heard).toBe(0)
  expect(proxy.connections).toBe(2)
  swallowed.destroy()
  fresh.destroy()
})

test('a stall holds everything back until it is over, and nothing is lost', async () => {
  const socket = await open()
  proxy.stallAll()
  const late = await open()
  let heard = ''
  socket.on('data', (chunk: Buffer) => (heard += chunk.toString()))
  const answers = Promise.all([read(socket, 5), read(late, 4)])
  socket.write('first')
  late.write('last')
  await new Promise((resolve) => setImmediate(resolve))
  expect(heard).toBe('')
  proxy.resume()
  expect((await answers).map(String)).toEqual(['first', 'last'])
  socket.destroy()
  late.destroy()
})

test('a throttled connection is no faster than allowed', async () => {
  proxy.throttle(100_000)
  const socket = await open()
  const started = performance.now()
  const received = read(socket, 20_000)
  socket.write(Buffer.alloc(20_000))
  await received
  expect(performance.now() - started).toBeGreaterThan(150)
  socket.destroy()
})

test('random cuts let through exactly what came before them', async () => {
  const random = testRandom()
  proxy.cutRandomly({ random, afterBytes: [10, 5_000], ways: ['fin'] })
  for (let round = 1; round <= 20; round++) {
    const socket = await open()
    socket.on('error', () => {})
    let received = 0
    socket.on('data', (chunk: Buffer) => (received += chunk.length))
    socket.write(Buffer.alloc(20_000))
    await once(socket, 'close')
    expect(received).toBeGreaterThanOrEqual(10)
    expect(received).toBeLessThanOrEqual(5_000)
    expect(proxy.cuts).toBe(round)
  }
})
