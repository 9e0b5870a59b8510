/**
 * `npm run cluster`: several servers on this machine over one PostgreSQL and one Redis, behind a balancer. One that dies
 * is started again; Ctrl-C ends all of it. PostgreSQL and Redis are throw-away ones unless DATABASE_URL and REDIS_URL name others.
 */
import { parseArgs } from 'node:util'
import { readConfig, withoutPassword } from '../server/config/config.ts'
import { ConfigError } from '../server/config/configError.ts'
import { ensureClientBuilt } from '../server/http/clientBuild.ts'
import { onSignals } from '../server/signals.ts'
import { startBalancer } from './support/balancer.ts'
import { runCommand } from './support/command.ts'
import type { ServerProcess } from './support/serverProcess.ts'
import { startPostgres } from './support/startPostgres.ts'
import { startRedis } from './support/startRedis.ts'
import { startSupervised } from './support/supervised.ts'
import { installSystemParts } from './systemParts.ts'

const usage = 'Usage: npm run cluster [-- --nodes N], N from 1 to 20, 3 if not said. The balancer listens on PORT.'

function readNodeCount(): number {
  try {
    const { values } = parseArgs({ options: { nodes: { type: 'string', default: '3' } } })
    const count = Number(values.nodes)
    if (Number.isInteger(count) && count >= 1 && count <= 20) return count
  } catch {
    // the same answer to what can't be read
  }
  throw new ConfigError(usage)
}

const nodes: ServerProcess[] = []
/** What stops the rest, in the order in which it was started. */
const stops: (() => Promise<unknown>)[] = []
let signals = 0

/** The first signal lets the nodes end their running answers, the second interrupts these, a third ends all as it is. */
function onSignal(): void {
  signals++
  if (signals > 2) process.exit(1)
  if (signals === 1) console.log('Stopping: running answers may end first. Once more to interrupt them.')
  for (const node of nodes) node.signal('SIGTERM')
}
onSignals(['SIGINT', 'SIGTERM', 'SIGHUP'], onSignal)

async function startParts(): Promise<{ databaseUrl: string; redisUrl: string }> {
  let { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl } = process.env
  if (databaseUrl?.startsWith('sqlite:')) throw new ConfigError('DATABASE_URL must be postgres://… for several nodes.')
  if (!databaseUrl) {
    const postgres = await startPostgres()
    stops.push(() => postgres.stop())
    databaseUrl = postgres.url
  }
  if (!redisUrl) {
    if (!(await installSystemParts(['Redis']))) throw new ConfigError('Redis is missing; REDIS_URL may name one.')
    const redis = await startRedis()
    stops.push(() => redis.stop())
    redisUrl = redis.url
  }
  return { databaseUrl, redisUrl }
}

async function startNodes(count: number, env: NodeJS.ProcessEnv): Promise<ServerProcess[]> {
  const starts = Array.from({ length: count }, async (_, index) => {
    const say = (line: string): void => console.log(`node ${index + 1}: ${line}`)
    const node = await startSupervised({ ...env, HOST: '127.0.0.1', PORT: '0' }, say)
    nodes.push(node)
    void node.exited.then((how) => say(`ended with ${how}`))
    if (signals > 0) node.signal('SIGTERM')
    return node
  })
  // all are waited for: those that stand must be known where another fails
  await Promise.allSettled(starts)
  return Promise.all(starts)
}

runCommand(async () => {
  const count = readNodeCount()
  const { host, port } = readConfig()
  await ensureClientBuilt(console.log)
  try {
    const { databaseUrl, redisUrl } = await startParts()
    const inOrder = await startNodes(count, { DATABASE_URL: databaseUrl, REDIS_URL: redisUrl })
    const balancer = await startBalancer({ nodes: inOrder.map(({ url }) => url), host, port })
    stops.push(() => balancer.stop())
    console.log(`Parley runs at ${balancer.url}, on ${count === 1 ? 'one node' : `${count} nodes`}`)
    inOrder.forEach(({ url, pid }, index) => console.log(`  node ${index + 1}: ${url}, process ${pid}`))
    console.log(
      `  PostgreSQL: ${process.env.DATABASE_URL ? withoutPassword(databaseUrl) : `${databaseUrl}, for this run`}`,
    )
    console.log(`  Redis: ${withoutPassword(redisUrl)}`)
  } catch (error) {
    for (const node of nodes) node.signal('SIGTERM')
    throw error
  } finally {
    await Promise.all(nodes.map(({ exited }) => exited))
    for (const stop of stops.reverse()) await stop()
  }
})
