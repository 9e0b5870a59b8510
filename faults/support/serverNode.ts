import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { makeFolder, startServerProcess, type ServerProcess } from '../../tests/support/app.ts'
import { startRedis, type RedisServer } from '../../scripts/support/startRedis.ts'
import type { StorageKind } from '../../tests/support/storages.ts'
import type { Attack } from './promise.ts'

type Env = Record<string, string> & { DATABASE_URL: string }

/** A server as `npm start` runs it, in a process of its own that can be killed, stopped and started again on its port. */
export class ServerNode {
  readonly port: number
  readonly env: Env
  #process: ServerProcess | undefined
  /** What all of its processes have said. */
  #said = ''

  constructor(port: number, env: Env) {
    this.port = port
    this.env = env
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  get pid(): number {
    return this.#process!.pid
  }

  get output(): string {
    return this.#said + (this.#process?.output ?? '')
  }

  /** Resolves once the process has ended, to its exit code or the signal. */
  get exited(): Promise<number | NodeJS.Signals> {
    return this.#process!.exited
  }

  async start(): Promise<void> {
    this.#said = this.output
    this.#process = await startServerProcess({ ...this.env, PORT: String(this.port) })
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal)
  }

  async end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals> {
    return this.#process!.end(signal)
  }
}

export interface NodeOptions {
  env?: Record<string, string>
}

/** Starts a node that ends with the attack. */
export async function startNode(attack: Attack, env: Env): Promise<ServerNode> {
  const node = new ServerNode(await fixedPort(), { MAX_SOCKETS_PER_USER: '100000', ...env })
  await node.start()
  attack.defer(() => node.end('SIGKILL'))
  return node
}

/** An empty database of a kind, gone with the attack. */
export async function databaseFor(attack: Attack, kind: StorageKind): Promise<string> {
  if (kind === 'postgres') return (await attack.createDatabase()).url
  const folder = await makeFolder()
  attack.defer(folder.remove)
  return `sqlite:${folder.path}/parley.db`
}

export interface Cluster {
  readonly nodes: readonly ServerNode[]
  readonly databaseUrl: string
  readonly redis: RedisServer
}

/**
 * Nodes on one PostgreSQL and one Redis.
 * @param envs what each node is given besides
 */
export async function startCluster(attack: Attack, envs: readonly Record<string, string>[]): Promise<Cluster> {
  const [databaseUrl, redis] = await Promise.all([databaseFor(attack, 'postgres'), startRedis()])
  attack.defer(() => redis.stop())
  const nodes = await Promise.all(
    envs.map((env) => startNode(attack, { DATABASE_URL: databaseUrl, REDIS_URL: redis.url, ...env })),
  )
  return { nodes, databaseUrl, redis }
}

/**
 * A free port below those that the kernel gives to outgoing connections: one of them could take it while its server is
 * down, or a client that tries again and again be connected with itself.
 */
export async function fixedPort(): Promise<number> {
  while (true) {
    const port = 15_000 + Math.floor(Math.random() * 15_000)
    const probe = createServer().listen(port, '127.0.0.1')
    const isFree = await once(probe, 'listening').then(
      () => (probe.address() as AddressInfo).port === port,
      () => false,
    )
    if (!isFree) continue
    probe.close()
    await once(probe, 'close')
    return port
  }
}
