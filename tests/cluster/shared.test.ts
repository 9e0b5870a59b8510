import { afterAll, beforeAll, expect, test } from 'vitest'
import { startRedis, type RedisServer } from '../../scripts/support/startRedis.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { openSocket, signIn } from '../support/clients.ts'
import { createSession, trySend } from '../support/operations.ts'
import { createDatabase } from '../support/postgres.ts'

let redis: RedisServer
let nodes: [TestApp, TestApp]
let drop: () => Promise<void>

beforeAll(async () => {
  const database = await createDatabase()
  drop = () => database.drop()
  redis = await startRedis()
  const env = { DATABASE_URL: database.url, REDIS_URL: redis.url, RATE_LIMIT_PER_MINUTE: '4' }
  nodes = [await startApp({ env }), await startApp({ env })]
})
afterAll(async () => {
  for (const node of nodes) await node.stop()
  await redis.stop()
  await drop()
})

test('a person’s list of sessions is told of what happens to it on another node', async () => {
  const [here, there] = nodes
  const ada = await signIn(here)
  const socket = await openSocket(there, { token: ada.token })
  const query = `subscription { viewerEvents { __typename ... on SessionListed { session { id } } } }`
  socket.subscribe('1', query)
  // nothing says when it has begun to listen, so there is something to tell until it is heard
  const heard = socket.nextOf('1')
  let isHeard = false
  void heard.then(() => (isHeard = true))
  const made: string[] = []
  while (!isHeard) {
    made.push(await createSession(here, ada))
    await socket.roundTrip()
  }
  const { viewerEvents } = ((await heard).payload as { data: { viewerEvents: { session: { id: string } } } }).data
  expect(viewerEvents).toMatchObject({ __typename: 'SessionListed' })
  expect(made).toContain(viewerEvents.session.id)
  await socket.close()
})

test('messages are counted over all nodes; without Redis nobody is refused because of it', async () => {
  const bob = await signIn(nodes[0], 'Bob')
  const sessionId = await createSession(nodes[0], bob)
  const sendOn = async (node: TestApp) => {
    const { __typename, code } = await trySend(node, bob, { sessionId, content: 'Hello', respond: false })
    return code ?? __typename
  }
  for (const node of [...nodes, ...nodes]) expect(await sendOn(node)).toBe('SendMessageSuccess')
  for (const node of nodes) expect(await sendOn(node)).toBe('RATE_LIMITED')
  await redis.kill()
  for (const node of nodes) expect(await sendOn(node)).toBe('SendMessageSuccess')
})
