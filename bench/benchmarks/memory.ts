import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { start, temporaryFolder } from '../support/children.ts'
import { pause } from '../support/clock.ts'
import { residentBytes } from '../support/cpu.ts'
import type { Benchmark } from '../support/benchmark.ts'
import type { Followers, Open } from '../support/followers.ts'
import { startParley } from '../support/parley.ts'
import { followQuery } from '../peers/deltaApi.ts'

const nodeArgs = ['--expose-gc', `--import=${new URL('../support/collectGarbage.ts', import.meta.url).href}`]
const sessionCount = 10

interface Server {
  pid: number
  signal(): void
  stop(): Promise<void>
}

interface Weight {
  /** KiB of objects and buffers that are in use. */
  used: number
  /** KiB of the process; what it had taken for its start and given back since is used again first, and hides some. */
  resident: number
}

/** What a process grows by for each follower, its code warmed up before. */
async function weigh(
  server: Server,
  open: Omit<Open, 'subscriptions'>,
  sessions: string[],
  count: number,
): Promise<Weight> {
  const followers = await start<Followers>('support/followers.ts')
  const follow = (number: number) =>
    followers.call('open', {
      ...open,
      subscriptions: Array.from({ length: number }, (_, index) => ({
        variables: { sessionId: sessions[index % sessions.length]!, after: 0 },
        from: 0,
        isTimed: false,
      })),
    })
  const settle = async () => {
    for (let n = 0; n < 3; n++) {
      server.signal()
      await pause(300)
    }
    return { used: Number(readFileSync(process.env.BENCH_MEMORY_FILE!, 'utf8')), resident: residentBytes(server.pid) }
  }
  await follow(100)
  const before = await settle()
  await follow(count)
  const after = await settle()
  await followers.call('sample', undefined)
  await followers.stop()
  await server.stop()
  return {
    used: (after.used - before.used) / count / 1024,
    resident: (after.resident - before.resident) / count / 1024,
  }
}

export const memory: Benchmark = {
  name: 'memory',
  title: 'Memory of the server for each idle follower, after garbage collection',
  async run({ rounds, isQuick }, print) {
    const count = isQuick ? 300 : 1000
    const model = await start('support/model.ts')
    const folder = temporaryFolder()
    process.env.BENCH_MEMORY_FILE = join(folder, 'memory')
    const [mine, theirs]: [Weight[], Weight[]] = [[], []]
    // a process that has had its followers is another one than before, so each round has new ones
    for (let round = 0; round < rounds; round++) {
      const parley = await startParley({ modelUrl: model.url, nodeArgs })
      const sessions = await parley.createSessions(sessionCount)
      const connectionParams = { authorization: `Bearer ${parley.token}` }
      const url = `${parley.url.replace('http', 'ws')}/graphql`
      const ours = { pid: parley.pid, signal: () => parley.signal('SIGUSR2'), stop: () => parley.stop() }
      mine.push(await weigh(ours, { url, connectionParams, query: followQuery }, sessions, count))
      const bare = await start('peers/bareSockets.ts', { nodeArgs })
      const peer = { pid: bare.pid, signal: () => void bare.child.kill('SIGUSR2'), stop: () => bare.stop() }
      theirs.push(await weigh(peer, { url: bare.url, connectionParams, query: followQuery }, sessions, count))
    }
    await model.stop()
    rmSync(folder, { recursive: true, force: true })
    const followers = `a follower, ${count.toLocaleString('en')} of them on ${sessionCount} sessions`
    print({
      what: `${followers}, in use`,
      unit: 'KiB',
      ours: mine.map(({ used }) => used),
      peer: { name: 'bare ws', values: theirs.map(({ used }) => used) },
      goal: { of: 'ratio', atMost: 3 },
    })
    print({
      what: `${followers}, resident`,
      unit: 'KiB',
      ours: mine.map(({ resident }) => resident),
      peer: { name: 'bare ws', values: theirs.map(({ resident }) => resident) },
    })
  },
}
