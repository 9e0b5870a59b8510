import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, expect, test } from 'vitest'
import { makeFolder, startServerProcess, type ServerProcess } from '../support/app.ts'
import { openSocket, post, refusedUpgrade, signIn, type BareSocket, type Person } from '../support/clients.ts'
import { startFakeModelServer, text, type FakeModelServer } from '../support/fakeModelServer.ts'
import { createSession, readMessage, send } from '../support/operations.ts'

const cleanUp: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo()
})

interface House {
  fake: FakeModelServer
  path: string
  server: ServerProcess
  start(): Promise<ServerProcess>
  ada: Person
  sessionId: string
  replyId: string
  socket: BareSocket
}

/** A server process in the middle of an answer, with someone who has seen half of it. */
async function startStreaming(words: string, env: Record<string, string> = {}): Promise<House> {
  const [fake, { path, remove }] = await Promise.all([startFakeModelServer(), makeFolder()])
  cleanUp.push(remove, () => fake.stop())
  const start = async (): Promise<ServerProcess> => {
    const started = await startServerProcess({
      ...{ DATABASE_URL: `sqlite:${path}/parley.db`, LOCAL_BASE_URL: fake.url },
      ...{ SHUTDOWN_TIMEOUT_MS: '30000', SHUTDOWN_SPREAD_MS: '600', ...env },
    })
    cleanUp.push(() => started.end('SIGKILL'))
    return started
  }
  const server = await start()
  const ada = await signIn(server)
  const sessionId = await createSession(server, ada)
  const { replyId } = await send(server, ada, sessionId, `Hello [[${words}]]`)
  const socket = await openSocket(server, { token: ada.token })
  socket.subscribe('1', 'subscription ($id: ID!) { messageDeltas(messageId: $id) { text } }', { id: replyId })
  await socket.nextOf('1')
  return { fake, path, server, start, ada, sessionId, replyId, socket }
}

test('SIGTERM: not ready, no new work, sockets told to come back; the running answer ends, and the process with 0', async () => {
  const { server, start, ada, sessionId, replyId, socket } = await startStreaming('tokens=300 rate=100 seed=whole')
  const exited = server.end('SIGTERM')
  const ready = () => fetch(`${server.url}/health/ready`).then(({ status }) => status)
  await expect.poll(ready, { interval: 10 }).toBe(503)
  expect((await fetch(`${server.url}/health/live`)).status).toBe(200)
  expect(await refusedUpgrade(server, '/graphql')).toBe(503)
  const { body } = await post(
    server,
    `mutation ($sessionId: ID!) { sendMessage(input: { sessionId: $sessionId, content: "late" }) { __typename } }`,
    { sessionId },
    ada,
  )
  expect(body.errors).toMatchObject([
    { message: expect.stringContaining('Send it again'), extensions: { code: 'INTERNAL' } },
  ])
  expect((await socket.closed).code).toBe(1012)
  expect(await exited).toBe(0)

  const again = await start()
  expect(await readMessage(again, ada, replyId)).toMatchObject({ status: 'COMPLETE', content: text('whole', 300) })
})

test('a second SIGTERM interrupts what still runs, and the process ends with 0', async () => {
  const { server, start, ada, replyId, socket } = await startStreaming('tokens=100000 rate=100', {
    SHUTDOWN_SPREAD_MS: '25000',
  })
  const exited = server.end('SIGTERM')
  await expect.poll(() => server.output).toContain('Once more to interrupt them.')
  process.kill(server.pid, 'SIGTERM')
  expect((await socket.closed).code).toBe(1012)
  expect(await exited).toBe(0)
  const again = await start()
  expect(await readMessage(again, ada, replyId)).toMatchObject({
    status: 'INTERRUPTED',
    error: { code: 'INTERRUPTED' },
  })
})

test.each([
  ['an error that nobody catches', `throw new Error('a fault')`],
  ['a rejection that nobody catches', `Promise.reject(new Error('a fault'))`],
])('%s is logged and ends the process, with what anyone saw stored', async (_what, fault) => {
  const { path: folder, remove } = await makeFolder()
  cleanUp.push(remove)
  const module = join(folder, 'fault.mjs')
  await writeFile(module, `process.on('SIGUSR2', () => { ${fault} })`)
  const { path, server, start, ada, replyId, socket } = await startStreaming('tokens=100000 rate=200 seed=cut', {
    NODE_OPTIONS: `--import ${module}`,
  })
  expect(await server.end('SIGUSR2')).toBe(1)
  const line = server.output.split('\n').find((said) => said.includes('uncaught error'))
  expect(JSON.parse(line!)).toMatchObject({
    ...{ level: 'error', message: 'uncaught error, the server ends', error: { message: 'a fault' } },
  })
  await socket.closed
  const seen = socket.received
    .filter(({ type }) => type === 'next')
    .map(({ payload }) => (payload as { data: { messageDeltas: { text: string } } }).data.messageDeltas.text)
    .join('')

  const database = new Database(`${path}/parley.db`, { readonly: true })
  expect(database.pragma('integrity_check', { simple: true })).toBe('ok')
  database.close()
  const again = await start()
  const answer = await readMessage(again, ada, replyId)
  expect(answer.status).toBe('INTERRUPTED')
  expect(text('cut', 100_000).startsWith(answer.content)).toBe(true)
  expect(seen).not.toBe('')
  expect(answer.content.startsWith(seen)).toBe(true)
})
