import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { signIn } from '../../tests/support/clients.ts'
import { text } from '../../tests/support/fakeModelServer.ts'
import { createSession, send } from '../../tests/support/operations.ts'
import type { ClientOrder, ClientState } from '../support/clientProcess.ts'
import type { FollowerOptions } from '../support/follower.ts'
import { startModel } from '../support/model.ts'
import { atMost, never, promise, told, tried, type Attack, type Count } from '../support/promise.ts'
import { databaseFor, startNode, type ServerNode } from '../support/serverNode.ts'
import { until } from '../support/until.ts'

const rate = 100
/** The model's own clock ticks every 5 ms, so a shorter time says nothing. */
const leastDelayMs = 10

interface Amounts {
  running: number
  stopped: number
  /** Processes that the stopped clients are spread over. */
  processes: number
  seconds: number
  /** Answers of 300 kB, as fast as the model can, of which the stopped ones take nothing. */
  floods: number
  isTimed: boolean
}

export const slowReaders = promise<Amounts>(
  4,
  'A slow reader costs only themself',
  {
    // A delay says something only where nothing else runs; so many are stopped that the MiB by which a process grows
    // anyway say little.
    short: { running: 12, stopped: 16, processes: 2, seconds: 3, floods: 20, isTimed: false },
    usual: { running: 150, stopped: 50, processes: 10, seconds: 10, floods: 20, isTimed: true },
    long: { running: 150, stopped: 50, processes: 50, seconds: 60, floods: 25, isTimed: true },
  },
  async (attack, { running, stopped, processes, seconds, floods, isTimed }) => {
    const fake = await startModel(attack)
    const probe = new URL('../support/memoryProbe.ts', import.meta.url).href
    const env: Record<string, string> = {
      NODE_OPTIONS: `--expose-gc --import=${probe}`,
      CONTEXT_WINDOW: '100000000',
      // kept however long this takes: those that were closed would cost nothing
      PING_INTERVAL_MS: '600000',
      STUCK_SOCKET_TIMEOUT_MS: '600000',
    }
    const databaseUrl = await databaseFor(attack, 'sqlite')
    const node = await startNode(attack, { ...env, DATABASE_URL: databaseUrl, LOCAL_BASE_URL: fake.url })
    const firstPid = node.pid
    let exits = 0
    void node.exited.then(() => exits++)
    const ada = await signIn(node)
    const talk = await createSession(node, ada)
    // what fills the sockets of the stopped ones would only keep the others' processor busy
    const flood = await createSession(node, ada)
    const follower = (sessionId: string): FollowerOptions => ({ port: node.port, token: ada.token, sessionId })

    const readers = await Promise.all(
      [0, 1].map((part) =>
        startClients(
          attack,
          Array.from({ length: share(running, 2, part) }, () => follower(talk)),
        ),
      ),
    )
    const slow = await Promise.all(
      Array.from({ length: processes }, (_, part) =>
        startClients(
          attack,
          Array.from({ length: share(stopped, processes, part) }).flatMap(() => [follower(talk), follower(flood)]),
        ),
      ),
    )
    const clients = [...readers, ...slow]
    const all = running + 2 * stopped
    const state = async (right: Record<string, string> = {}, of = clients): Promise<ClientState> =>
      (await Promise.all(of.map((client) => client.ask<ClientState>({ kind: 'state', right })))).reduce(add)
    if (!(await until(async () => (await state()).connected === all, 60_000, 200)))
      throw new Error('Not everyone could connect.')

    const right: Record<string, string> = {}
    /** Sends, waits until all who are `of` have it, and tells the p99 of the running ones' delays. */
    async function speak(of: Clients[], tokens: number): Promise<number> {
      const seed = `p4-${attack.random.int(0, 1e9)}`
      const index = fake.requests.length
      const { replyId } = await send(node, ada, talk, `n [[tokens=${tokens} rate=${rate} seed=${seed}]]`)
      const { receivedAt } = await fake.waitForRequest(index)
      right[replyId] = text(seed, tokens)
      const wanted = { [replyId]: right[replyId] }
      const isThere = async () => (await state(wanted, readers)).ended === running
      if (!(await until(isThere, (tokens / rate) * 1000 + 60_000, 200))) throw new Error('The others did not end.')
      const delays = await Promise.all(
        of.map((client) => client.ask<number[]>({ kind: 'delays', messageId: replyId, startAt: receivedAt, rate })),
      )
      const sorted = delays.flat().sort((a, b) => a - b)
      return sorted[Math.floor(sorted.length * 0.99)]!
    }

    const flooded: Record<string, string> = {}
    async function pour(): Promise<void> {
      for (let n = 0; n < floods; n++) {
        const seed = `p4-flood-${attack.random.int(0, 1e9)}`
        const tokens = 20_000
        const index = fake.requests.length
        const { replyId } = await send(node, ada, flood, `n [[tokens=${tokens} seed=${seed} batch=50]]`)
        flooded[replyId] = text(seed, tokens)
        await fake.waitForClose(index)
      }
    }
    // the server keeps the newest events of a session for all who follow it: they are there before as they are meanwhile
    await pour()
    if (!(await until(async () => (await state(flooded, slow)).ended === stopped, 60_000, 200)))
      throw new Error('A flood did not arrive.')
    await speak(readers, 3 * rate)
    const p99Before = await speak(readers, seconds * rate)
    const before = await probeMemory(node)
    const rssBefore = peakRss(node)

    for (const { child } of slow) child.kill('SIGSTOP')
    const p99Meanwhile = await speak(readers, seconds * rate)
    await pour()
    await delay(1_000)
    const during = await probeMemory(node)
    const rssDuring = peakRss(node)
    for (const { child } of slow) child.kill('SIGCONT')

    // each of the stopped processes has followers of both sessions: what it has in all is right where both are
    const slowHave = async () => {
      const [talked, floodedState] = await Promise.all([state(right, slow), state(flooded, slow)])
      return talked.ended === stopped && floodedState.ended === stopped
    }
    const areWhole = await until(slowHave, 120_000, 500)
    const [talked, heard, floodedState] = [
      await state(right, slow),
      await state(right, readers),
      await state(flooded, slow),
    ]
    const faults = Object.entries((await state()).faults)
    const counts: Count[] = [
      tried('clients', running + stopped),
      tried('of those stopped', stopped, stopped),
      told('in processes', processes),
      tried('of their sockets that were full', during.fullSockets, Math.ceil(stopped / 2)),
      told('connections made again', talked.connects - 2 * stopped),
      never('server exits', exits + Number(node.pid !== firstPid)),
      atMost('MiB held for each stopped one', 1, (during.held - before.held) / stopped / 2 ** 20),
      told('MiB of growth of the process for each stopped one', (rssDuring - rssBefore) / stopped / 2 ** 20),
      told("p99 of the others' delays before, in ms", p99Before),
      isTimed
        ? atMost('p99 meanwhile, in ms', 2 * Math.max(p99Before, leastDelayMs), p99Meanwhile)
        : told('p99 meanwhile, in ms', p99Meanwhile),
      never('stopped ones that never had everything', areWhole ? 0 : 1),
      never('texts that differ', talked.differing + heard.differing + floodedState.differing),
      ...faults.map(([name, value]) => never(name, value)),
    ]
    return counts
  },
)

interface Clients {
  child: ChildProcess
  ask<Answer>(order: ClientOrder): Promise<Answer>
}

async function startClients(attack: Attack, followers: FollowerOptions[]): Promise<Clients> {
  const child = fork(fileURLToPath(new URL('../support/clientProcess.ts', import.meta.url)), { execArgv: [] })
  const end = (): void => void child.kill('SIGKILL')
  process.once('exit', end)
  attack.defer(() => {
    process.off('exit', end)
    end()
  })
  // one question at a time, answered in order
  let last: Promise<unknown> = Promise.resolve()
  const ask = <Answer>(order: ClientOrder): Promise<Answer> => {
    const answer = last.then(async () => {
      child.send(order)
      return ((await once(child, 'message')) as [Answer])[0]
    })
    last = answer
    return answer
  }
  await ask({ kind: 'open', followers })
  return { child, ask }
}

const share = (count: number, parts: number, part: number): number =>
  Math.floor(count / parts) + Number(part < count % parts)

function add(a: ClientState, b: ClientState): ClientState {
  const faults = Object.fromEntries(Object.keys(a.faults).map((name) => [name, a.faults[name]! + b.faults[name]!]))
  return {
    connected: a.connected + b.connected,
    ended: a.ended + b.ended,
    faults,
    differing: a.differing + b.differing,
    connects: a.connects + b.connects,
  }
}

interface Memory {
  held: number
  fullSockets: number
}

async function probeMemory(node: ServerNode): Promise<Memory> {
  const seen = node.output.length
  node.signal('SIGUSR2')
  let found: string | undefined
  await until(() => (found = /^memory (.*)$/m.exec(node.output.slice(seen))?.[1]) !== undefined, 10_000)
  return JSON.parse(found!) as Memory
}

/** Bytes, the most that the process ever had. */
function peakRss({ pid }: ServerNode): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024
}
