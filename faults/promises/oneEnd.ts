import { setTimeout as delay } from 'node:timers/promises'
import { signIn, type Person } from '../../tests/support/clients.ts'
import type { FakeModelServer } from '../../tests/support/fakeModelServer.ts'
import { createSession, send } from '../../tests/support/operations.ts'
import { startProxy, type Cut, type Proxy } from '../../tests/support/proxy.ts'
import { startRedis } from '../../scripts/support/startRedis.ts'
import { Follower, faultsOf, sumOf } from '../support/follower.ts'
import { startModel } from '../support/model.ts'
import { atMost, never, promise, told, tried, type Attack } from '../support/promise.ts'
import { sendUntilAcknowledged } from '../support/sending.ts'
import { databaseFor, startNode, type ServerNode } from '../support/serverNode.ts'
import { openStored, readAnswer, type Stored } from '../support/stored.ts'
import { until } from '../support/until.ts'

/** What happens to the node that runs the generations. */
type Fault = 'killed' | 'stopped' | `redis ${Cut}` | `postgres ${Cut}`

const withinMs = 20_000

export const oneEnd = promise(
  3,
  'Every started generation ends, once',
  {
    short: { faults: ['killed', 'stopped', 'redis half-open', 'postgres half-open'], leaseMs: 1_500, generations: 2 },
    usual: {
      faults: ['killed', 'stopped', 'redis half-open', 'postgres rst', 'postgres half-open'],
      leaseMs: 15_000,
      generations: 4,
    },
    long: {
      faults: [
        ...['killed', 'stopped', 'redis rst', 'redis half-open', 'postgres rst', 'postgres fin', 'postgres half-open'],
        ...['killed', 'stopped', 'redis rst', 'redis half-open', 'postgres rst', 'postgres fin', 'postgres half-open'],
        ...['killed', 'stopped', 'redis rst', 'redis half-open', 'postgres rst', 'postgres fin', 'postgres half-open'],
      ],
      leaseMs: 15_000,
      generations: 8,
    },
  } as Record<'short' | 'usual' | 'long', { faults: Fault[]; leaseMs: number; generations: number }>,
  async (attack, { faults, leaseMs, generations }) => {
    const house = await startHouse(attack, leaseMs)
    const { stored, followers } = house
    const tally = { ended: 0, interrupted: 0, running: 0, twice: 0, late: 0, torn: 0, sickNodes: 0, slowestMs: 0 }
    for (const fault of faults) {
      const replyIds = await startGenerations(house, generations)
      const startedAt = performance.now()
      const undo = await strike(house, fault)
      const running = async () => {
        let count = 0
        for (const replyId of replyIds) if ((await readAnswer(stored, replyId))?.isRunning !== false) count++
        return count
      }
      await until(async () => (await running()) === 0, withinMs, 100)
      tally.running += await running()
      tally.slowestMs = Math.max(tally.slowestMs, performance.now() - startedAt)
      await undo()
      // well again: takes a message, and answers it
      const { replyId } = (await sendUntilAcknowledged({
        url: () => house.owner.url,
        by: house.ada,
        sessionId: house.sessionIds[0]!,
        content: `well again after ${fault} ${attack.random.int(0, 1e9)} [[tokens=5]]`,
        retryMs: 200,
        signal: AbortSignal.timeout(15_000),
      })) ?? { replyId: undefined }
      const isWell = await until(
        async () => replyId !== undefined && (await readAnswer(stored, replyId))?.status === 'COMPLETE',
        // what waits for a connection that is open at one end only gives it up after 15 s
        20_000,
      )
      if (!isWell) {
        tally.sickNodes++
        console.error(`The node did not answer after: ${fault}\n${house.owner.output.slice(-2_000)}`)
      }
      // what a former owner writes late must have had its time
      await delay(1_000)
      for (const id of replyIds) {
        const answer = (await readAnswer(stored, id))!
        if (!answer.isRunning) tally.ended++
        if (answer.status === 'INTERRUPTED') tally.interrupted++
        if (answer.ends > 1) tally.twice++
        if (answer.deltasAfterEnd > 0) tally.late++
        if (!answer.isRunning && (answer.added !== answer.content || !answer.isWhole)) tally.torn++
      }
    }
    const seen = Object.values(faultsOf(followers)).reduce((sum, value) => sum + value, 0)
    return [
      tried('faults', faults.length),
      tried('generations', faults.length * generations),
      told('ended', tally.ended),
      tried('interrupted', tally.interrupted),
      told('slowest end in seconds after its fault', tally.slowestMs / 1000),
      never(`still running ${withinMs / 1000} s later`, tally.running),
      never('ended more than once', tally.twice + sumOf(followers, ({ endedTwice }) => endedTwice)),
      never('writes by an owner that had lost its lease', tally.late),
      never('ended answers whose deltas differ from them', tally.torn),
      never('gaps, repeats and the like for those who followed', seen),
      atMost('nodes that did not work again afterwards', 0, tally.sickNodes),
    ]
  },
)

interface House {
  /** Runs what is attacked; reaches PostgreSQL and Redis through proxies. */
  owner: ServerNode
  others: ServerNode[]
  toPostgres: Proxy
  toRedis: Proxy
  fake: FakeModelServer
  ada: Person
  sessionIds: string[]
  /** On the other nodes. */
  followers: Follower[]
  stored: Stored
  random: Attack['random']
}

async function startHouse(attack: Attack, leaseMs: number): Promise<House> {
  const [fake, databaseUrl, redis] = await Promise.all([
    startModel(attack),
    databaseFor(attack, 'postgres'),
    startRedis(),
  ])
  attack.defer(() => redis.stop())
  const toPostgres = await startProxy({ port: Number(new URL(databaseUrl).port) })
  attack.defer(() => toPostgres.stop())
  const toRedis = await startProxy({ port: Number(new URL(redis.url).port) })
  attack.defer(() => toRedis.stop())
  const env = {
    LOCAL_BASE_URL: fake.url,
    LEASE_MS: String(leaseMs),
    LEASE_RENEW_MS: String(Math.round(leaseMs / 5)),
    DATABASE_URL: databaseUrl,
    REDIS_URL: redis.url,
  }
  const proxied = new URL(databaseUrl)
  proxied.port = String(toPostgres.port)
  const [owner, ...others] = await Promise.all([
    startNode(attack, { ...env, DATABASE_URL: proxied.href, REDIS_URL: `redis://127.0.0.1:${toRedis.port}` }),
    startNode(attack, env),
    startNode(attack, env),
  ])
  // stopped processes must be continued to notice anything but SIGKILL, which ends them as they are
  const ada = await signIn(others[0]!)
  const sessionIds = await Promise.all(Array.from({ length: 4 }, () => createSession(others[0]!, ada)))
  const followers = sessionIds.flatMap((sessionId) =>
    others.map(({ port }) => new Follower({ port, token: ada.token, sessionId })),
  )
  attack.defer(() => Promise.all(followers.map((follower) => follower.stop())))
  const stored = await openStored(databaseUrl)
  attack.defer(() => stored.close())
  return { owner, others, toPostgres, toRedis, fake, ada, sessionIds, followers, stored, random: attack.random }
}

/** Resolves once some text of each has been seen. */
async function startGenerations(
  { owner, ada, sessionIds, followers, random }: House,
  count: number,
): Promise<string[]> {
  const replyIds: string[] = []
  for (let n = 0; n < count; n++) {
    const sessionId = sessionIds[n % sessionIds.length]!
    const words = `tokens=500 rate=50 seed=p3-${random.int(0, 1e9)}`
    replyIds.push((await send(owner, ada, sessionId, `n [[${words}]]`)).replyId)
  }
  const isSeen = (id: string) => followers.some(({ texts }) => (texts.get(id)?.length ?? 0) > 0)
  if (!(await until(() => replyIds.every(isSeen), 20_000))) throw new Error('An answer did not begin.')
  await delay(random.int(0, 500))
  return replyIds
}

/** Lets a fault happen to the owner; resolves to what takes it back. */
async function strike({ owner, toPostgres, toRedis }: House, fault: Fault): Promise<() => Promise<void>> {
  if (fault === 'killed') {
    await owner.end('SIGKILL')
    return () => owner.start()
  }
  if (fault === 'stopped') {
    owner.signal('SIGSTOP')
    return async () => owner.signal('SIGCONT')
  }
  const [what, how] = fault.split(' ') as ['redis' | 'postgres', Cut]
  const proxy = what === 'redis' ? toRedis : toPostgres
  // new connections get nowhere either, until it is over
  proxy.stallAll()
  proxy.cutAll(how)
  return async () => proxy.resume()
}
