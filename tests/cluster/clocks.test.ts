import { afterEach, expect, onTestFinished, test, vi } from 'vitest'
import { reap } from '../../server/generation/reap.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { signIn } from '../support/clients.ts'
import { createSession, readMessage, send } from '../support/operations.ts'
import { insertGeneration, insertSession } from '../support/rows.ts'
import { readGeneration } from '../generation/harness.ts'

const hourMs = 3_600_000

/** The clock of whatever runs in this process; the database's stays right. */
const turnClock = (byMs: number): void => {
  vi.useRealTimers()
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + byMs })
}
afterEach(() => {
  vi.useRealTimers()
})

async function startNode(env: Record<string, string> = {}): Promise<TestApp> {
  const app = await startApp({ storage: 'postgres', env })
  onTestFinished(() => app.stop())
  return app
}

/** How long the lease of the only generation still lasts by the clock of the database. */
async function leaseLeftMs({ services: { storage } }: TestApp): Promise<number> {
  const [row] = await storage.read.all<{ left: number }>(
    `SELECT (extract(epoch FROM lease_until - clock_timestamp()) * 1000)::float8 AS "left" FROM generations`,
  )
  return row!.left
}

test.for([
  ['an hour ahead', hourMs],
  ['an hour behind', -hourMs],
] as const)('a node whose clock is %s takes and renews its leases by the clock of the database', async ([, byMs]) => {
  const node = await startNode({ LEASE_MS: '1200000', LEASE_RENEW_MS: '600000' })
  turnClock(byMs)
  const ada = await signIn(node)
  const { generationId } = await send(node, ada, await createSession(node, ada), 'Hello [[tokens=10000 rate=20]]')
  const taken = await leaseLeftMs(node)
  expect(taken).toBeGreaterThan(0)
  expect(taken).toBeLessThanOrEqual(1_200_000)
  await node.services.generations.stop(generationId)
})

test('a node whose clock is an hour ahead takes nobody’s lease away', async () => {
  const node = await startNode()
  const ada = await signIn(node)
  const { replyId, generationId } = await send(
    node,
    ada,
    await createSession(node, ada),
    'Hello [[tokens=10000 rate=20]]',
  )
  turnClock(hourMs)
  expect(await reap({ ...node.services, contextWindow: 32_768 })).toBe(0)
  expect(['PENDING', 'STREAMING']).toContain((await readMessage(node, ada, replyId)).status)
  await node.services.generations.stop(generationId)
})

test('a node whose clock is an hour behind ends what another left, and keeps what it runs itself', async () => {
  const node = await startNode({ LEASE_MS: '20000', LEASE_RENEW_MS: '50' })
  const { storage, log } = node.services
  const ada = await signIn(node)
  const sessionId = await createSession(node, ada)
  const lostAt = new Date(Date.now() - 60_000)
  turnClock(-hourMs)
  const { generationId, replyId } = await send(node, ada, sessionId, 'Hello [[tokens=10000 rate=20]]')
  await node.fake.waitForRequest(0)
  await storage.read.all(`UPDATE generations SET lease_until = now() + interval '10 seconds'`)
  await expect.poll(() => leaseLeftMs(node)).toBeGreaterThan(10_000)

  const left = await insertGeneration(storage, log, await insertSession(storage), { leaseUntil: lostAt })
  await expect.poll(async () => (await readGeneration({ storage }, left)).status).toBe('INTERRUPTED')
  expect(['PENDING', 'STREAMING']).toContain((await readMessage(node, ada, replyId)).status)
  await node.services.generations.stop(generationId)
})
