import { Redis } from 'ioredis'
import { expect, onTestFinished, test } from 'vitest'
import { connectRedis } from '../../server/bus/redis.ts'
import { RedisBus } from '../../server/bus/redisBus.ts'
import { startRedis } from '../../scripts/support/startRedis.ts'
import { faultsOf, Follower } from '../../faults/support/follower.ts'
import { startApp } from '../support/app.ts'
import { gql, signIn } from '../support/clients.ts'
import { text } from '../support/fakeModelServer.ts'
import { createSession, send } from '../support/operations.ts'
import { createDatabase } from '../support/postgres.ts'
import { startProxy } from '../support/proxy.ts'

interface Topics {
  news: { text: string }
}

async function startHouse() {
  const redis = await startRedis()
  onTestFinished(() => redis.stop())
  const admin = new Redis(redis.url)
  onTestFinished(() => admin.disconnect())
  return {
    redis,
    admin,
    forbid: () => admin.call('ACL', 'SETUSER', 'default', '-subscribe'),
    allow: () => admin.call('ACL', 'SETUSER', 'default', '+subscribe'),
  }
}

async function startBus(url: string, name: string) {
  const connection = connectRedis(url, () => undefined)
  const refusals: unknown[] = []
  const bus = new RedisBus<Topics>(
    connection,
    name,
    () => undefined,
    (error) => void refusals.push(error),
  )
  onTestFinished(async () => {
    await bus.close()
    connection.disconnect()
  })
  await bus.untilUp(10_000)
  return { bus, refusals }
}

/** Says it until it is heard: nothing else tells when a lost subscription is there again. */
async function untilHeard(bus: RedisBus<Topics>, heard: string[], word: string): Promise<void> {
  const say = () => {
    bus.publish('news', 'key', { text: word })
    return heard.includes(word)
  }
  await expect.poll(say, { timeout: 20_000 }).toBe(true)
}

test('a subscription that Redis refuses holds nobody up, is told, and is live once Redis agrees', async () => {
  const { redis, forbid, allow } = await startHouse()
  const [here, there] = [await startBus(redis.url, 'here'), await startBus(redis.url, 'there')]
  await forbid()
  const heard: string[] = []
  await here.bus.subscribe('news', 'key', (message) => void heard.push(message.text))
  expect(here.bus.isUp).toBe(false)
  expect(here.refusals).toHaveLength(1)
  expect(there.bus.isUp).toBe(true)
  // on this node it is heard all the same
  here.bus.publish('news', 'key', { text: 'at home' })
  expect(heard).toEqual(['at home'])

  await allow()
  await expect.poll(() => here.bus.isUp, { timeout: 20_000 }).toBe(true)
  await untilHeard(there.bus, heard, 'from there')
  expect(here.refusals).toHaveLength(1)
})

test('a subscription that nobody wants any more is not tried again', async () => {
  const { redis, admin, forbid, allow } = await startHouse()
  const { bus } = await startBus(redis.url, 'here')
  await forbid()
  const leave = await bus.subscribe('news', 'unwanted', () => undefined)
  await bus.subscribe('news', 'key', () => undefined)
  leave()
  await allow()
  await expect.poll(() => bus.isUp, { timeout: 20_000 }).toBe(true)
  expect(await admin.pubsub('CHANNELS')).toEqual(['parley:news:key'])
})

test('a connection that Redis ends subscribes again, also where that is refused at first', async () => {
  const { redis, admin, forbid, allow } = await startHouse()
  const [here, there] = [await startBus(redis.url, 'here'), await startBus(redis.url, 'there')]
  const heard: string[] = []
  await here.bus.subscribe('news', 'key', (message) => void heard.push(message.text))
  await untilHeard(there.bus, heard, 'before')
  await admin.client('KILL', 'TYPE', 'pubsub')
  await untilHeard(there.bus, heard, 'killed')

  await forbid()
  await admin.client('KILL', 'TYPE', 'pubsub')
  await expect.poll(() => here.refusals.length, { timeout: 20_000 }).toBe(1)
  await allow()
  await untilHeard(there.bus, heard, 'allowed')
  expect(here.bus.isUp).toBe(true)
})

test('a connection that is open at one end only is given up and made anew', async () => {
  const { redis } = await startHouse()
  const proxy = await startProxy({ port: Number(new URL(redis.url).port) })
  onTestFinished(() => proxy.stop())
  const [here, there] = [await startBus(`redis://127.0.0.1:${proxy.port}`, 'here'), await startBus(redis.url, 'there')]
  const heard: string[] = []
  await here.bus.subscribe('news', 'key', (message) => void heard.push(message.text))
  await untilHeard(there.bus, heard, 'before')
  expect(proxy.cutAll('half-open')).toBe(2)
  await untilHeard(there.bus, heard, 'after')
  expect(here.bus.isUp).toBe(true)
})

test('while Redis refuses a node’s subscriptions its followers go on by the timer, and health says DEGRADED', async () => {
  const { redis, forbid, allow } = await startHouse()
  const database = await createDatabase()
  const env = { DATABASE_URL: database.url, REDIS_URL: redis.url }
  const nodes = [await startApp({ env }), await startApp({ env })] as const
  const [writing, following] = nodes
  onTestFinished(async () => {
    for (const node of nodes) await node.stop()
    await database.drop()
  })
  const health = async () =>
    (await gql<{ health: { status: string } }>(following, '{ health { status } }')).health.status
  const ada = await signIn(writing)
  const sessionId = await createSession(writing, ada)
  await forbid()
  const follower = new Follower({ port: following.port, token: ada.token, sessionId })
  onTestFinished(() => follower.stop())
  await expect.poll(health).toBe('DEGRADED')
  const refused = await send(writing, ada, sessionId, 'Hello [[tokens=100 rate=100 seed=refused]]')
  await expect.poll(() => follower.endings.get(refused.replyId), { timeout: 20_000 }).toBe('COMPLETE')
  expect(follower.texts.get(refused.replyId)).toBe(text('refused', 100))

  await allow()
  await expect.poll(health, { timeout: 20_000 }).toBe('HEALTHY')
  const allowed = await send(writing, ada, sessionId, 'Hello [[tokens=100 rate=100 seed=allowed]]')
  await expect.poll(() => follower.endings.get(allowed.replyId), { timeout: 20_000 }).toBe('COMPLETE')
  expect(follower.texts.get(allowed.replyId)).toBe(text('allowed', 100))
  expect(Object.values(faultsOf([follower])).every((count) => count === 0)).toBe(true)
})
