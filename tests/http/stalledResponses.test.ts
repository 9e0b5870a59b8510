import { once } from 'node:events'
import { createServer, request, type IncomingMessage } from 'node:http'
import { connect, Socket, type AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { endWhenStalled } from '../../server/http/stalledResponse.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { gql, signIn, type Person } from '../support/clients.ts'
import { createSession, send } from '../support/operations.ts'

const timeoutMs = 800

describe('an answer that nobody reads', () => {
  const query = `query ($s: ID!) { session(id: $s) {
    a: messages(last: 100) { edges { node { content } } } b: messages(last: 100) { edges { node { content } } } } }`
  let app: TestApp
  let ada: Person
  let sessionId: string
  beforeAll(async () => {
    app = await startApp({ env: { STUCK_SOCKET_TIMEOUT_MS: String(timeoutMs), MAX_QUERY_COST: '1000000' } })
    ada = await signIn(app)
    sessionId = await createSession(app, ada)
    for (let n = 0; n < 100; n++) await send(app, ada, sessionId, '€'.repeat(32_000), { respond: false })
  })
  afterAll(() => app?.stop())

  it('is ended with its connection, and those that are read are not', async () => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${ada.token}` }
    const sent = request({ host: '127.0.0.1', port: app.port, path: '/graphql', method: 'POST', headers, agent: false })
    sent.end(JSON.stringify({ query, variables: { s: sessionId } }))
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    const failed = once(response, 'error')
    await expect.poll(() => unsentOf(app)).toBeGreaterThan(0)
    await expect.poll(() => unsentOf(app)).toBe(0)
    // what the system had taken is still there to read, the rest is not
    response.resume()
    expect((await failed)[0]).toMatchObject({ code: 'ECONNRESET' })
    await gql(app, query, { s: sessionId }, { token: ada.token })
    expect(app.logged).toEqual([])
  })
})

describe('a response', () => {
  /** A server whose every answer is one write, larger than what the system keeps for a connection. */
  const serve = async (bytes: number, waitMs = 0) => {
    const closed: boolean[] = []
    const server = createServer((_request, response) => {
      endWhenStalled(response, timeoutMs)
      response.once('close', () => closed.push(response.writableFinished))
      setTimeout(() => response.end(Buffer.alloc(bytes)), waitMs)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    socket.on('error', () => undefined)
    const get = (): void => void socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    return { socket, get, closed }
  }

  it('of one large write is cut off when nothing of it is read', async () => {
    const { socket, get, closed } = await serve(40_000_000)
    socket.pause()
    get()
    await expect.poll(() => closed).toEqual([false])
  })

  it('of one large write is sent to the end when it is read slowly', async () => {
    const { socket, get, closed } = await serve(40_000_000)
    let read = 0
    socket.on('data', (chunk: Buffer) => {
      read += chunk.length
      socket.pause()
    })
    // some times as long for all as one has who reads nothing
    const startedAt = performance.now()
    const reading = setInterval(() => {
      if (read < ((performance.now() - startedAt) / (4 * timeoutMs)) * 40_000_000) socket.resume()
    }, 1)
    onTestFinished(() => clearInterval(reading))
    get()
    await expect.poll(() => closed).toEqual([true])
    expect(performance.now() - startedAt).toBeGreaterThan(2 * timeoutMs)
  })

  it('that has nothing to send yet, or waits behind an earlier one, is left alone', async () => {
    const { socket, get, closed } = await serve(1_000, 3 * timeoutMs)
    socket.resume()
    get()
    await new Promise((resolve) => setTimeout(resolve, timeoutMs))
    get()
    await expect.poll(() => closed).toEqual([true, true])
  })
})

/** How many bytes the server holds unsent. */
function unsentOf({ port }: TestApp): number {
  const handles = (process as unknown as { _getActiveHandles(): unknown[] })._getActiveHandles()
  return handles
    .filter((handle): handle is Socket => handle instanceof Socket && handle.localPort === port)
    .reduce((sum, { writableLength }) => sum + writableLength, 0)
}
