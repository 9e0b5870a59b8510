import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { Redis } from 'ioredis'

const executablePath = '/usr/bin/redis-server'

export interface RedisServer {
  url: string
  /** Kills it; `start` brings it back, empty, on the same port. */
  kill(): Promise<void>
  start(): Promise<void>
  stop(): Promise<void>
}

/** Starts Debian's Redis on a free port, keeping nothing on the disk. */
export async function startRedis(): Promise<RedisServer> {
  if (!existsSync(executablePath)) {
    throw new Error(`${executablePath} is missing. Install it: apt-get update && apt-get install -y redis-server`)
  }
  const port = await freePort()
  let child: ChildProcess | undefined
  const endWithUs = (): void => void child?.kill('SIGKILL')
  const server: RedisServer = {
    url: `redis://127.0.0.1:${port}`,
    async start() {
      child = spawn(
        executablePath,
        ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
        {
          stdio: 'ignore',
          // Ctrl-C in a terminal would end it under those who still use it
          detached: true,
        },
      )
      process.once('exit', endWithUs)
      const probe = new Redis(server.url, { retryStrategy: () => 50, maxRetriesPerRequest: 100 })
      probe.on('error', () => undefined)
      await probe.ping()
      probe.disconnect()
    },
    async kill() {
      process.off('exit', endWithUs)
      if (!child || child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    },
    stop: () => server.kill(),
  }
  await server.start()
  return server
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}
