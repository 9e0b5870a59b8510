import { start, type Remote } from '../support/children.ts'
import { micros, pause } from '../support/clock.ts'
import { cpuMicros } from '../support/cpu.ts'
import type { Followers, Open } from '../support/followers.ts'
import type { Model } from '../support/model.ts'
import { wishOf } from '../support/oneFollowerEach.ts'
import { inParallel, startParley, type Parley } from '../support/parley.ts'
import { profileArgs, reportProfile, type Window } from '../support/profile.ts'
import { followQuery } from '../peers/deltaApi.ts'
import type { FanOutPeer } from '../peers/rawSocket.ts'
import type { Benchmark, Settings } from '../support/benchmark.ts'
import type { Row } from '../support/report.ts'

const rate = 50
const warmMs = 600

/** A server with its followers, who are all there from the beginning and idle but for its turns. */
interface Side {
  name: string
  pid: number
  followers: Remote<Followers>
  /** Starts the generations; their tokens have the numbers from `from` on. */
  generate(from: number, tokens: number): Promise<void>
  stop(): Promise<void>
}

interface Load {
  followersEach: number
  generations: number
  windowMs: number
}

const peers = [
  { name: 'ws.send', file: 'peers/rawSocket.ts' },
  { name: 'Yoga', file: 'peers/yoga.ts' },
  { name: 'Apollo', file: 'peers/apollo.ts' },
  { name: 'mercurius', file: 'peers/mercurius.ts' },
]

async function follow(
  url: string,
  connectionParams: object,
  topics: string[],
  { followersEach }: Load,
  variables: (topic: string) => object,
) {
  const followers = await start<Followers>('support/followers.ts')
  const subscriptions: Open['subscriptions'] = topics.flatMap((topic) =>
    Array.from({ length: followersEach }, (_, index) => ({
      variables: variables(topic),
      from: 0,
      isTimed: index === 0,
    })),
  )
  await followers.call('open', { url, connectionParams, query: followQuery, subscriptions })
  return followers
}

async function startPeer(name: string, file: string, load: Load): Promise<Side> {
  const peer = await start<FanOutPeer>(file)
  const topics = Array.from(
    { length: load.generations },
    (_, index) => `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
  )
  const followers = await follow(peer.url, {}, topics, load, (sessionId) => ({ sessionId }))
  return {
    name,
    pid: peer.pid,
    followers,
    generate: (from, tokens) => peer.call('start', { topics, from, tokens, rate }) as Promise<void>,
    async stop() {
      await followers.stop()
      await peer.stop()
    },
  }
}

async function startOurs(model: Remote<Model>, parley: Parley, load: Load): Promise<Side> {
  const topics = await parley.createSessions(load.generations)
  const connectionParams = { authorization: `Bearer ${parley.token}` }
  const url = `${parley.url.replace('http', 'ws')}/graphql`
  const followers = await follow(url, connectionParams, topics, load, (sessionId) => ({ sessionId, after: 0 }))
  return {
    name: 'Parley',
    pid: parley.pid,
    followers,
    async generate(from, tokens) {
      const count = topics.length
      await inParallel(topics, (id, index) => parley.send(id, wishOf(index, count, tokens, rate, from)))
      await model.call('go', { count })
    },
    stop: () => followers.stop(),
  }
}

/** Microseconds of the server's CPU for each frame that arrived, and what share of the tokens came in a frame of their own. */
async function measure(side: Side, from: number, windows: Window[], { windowMs, followersEach, generations }: Load) {
  const tokens = Math.ceil(((warmMs + windowMs + 400) * rate) / 1000)
  await side.generate(from, tokens)
  await pause(warmMs)
  const [cpuBefore, before] = [cpuMicros(side.pid), await side.followers.call('sample', undefined)]
  const startedAt = micros()
  await pause(windowMs)
  if (side.name === 'Parley') windows.push([startedAt, micros()])
  const [cpuAfter, after] = [cpuMicros(side.pid), await side.followers.call('sample', undefined)]
  await side.followers.call('reach', { next: from + tokens, timeoutMs: 60_000 })
  // what the last of them leave to be cleaned up belongs to their own turn
  await pause(200)
  const frames = after.frames - before.frames
  const due = (windowMs / 1000) * rate * followersEach * generations
  return { cpu: (cpuAfter - cpuBefore) / frames, arrived: frames / due, p99: after.p99, next: from + tokens }
}

/** @param goals what the ratio to each peer may be at most; a peer without one is left out */
async function runOne(
  settings: Settings,
  print: (row: Row) => void,
  load: Load,
  goals: Record<string, number>,
): Promise<void> {
  const model = await start<Model>('support/model.ts')
  const parley = await startParley({ modelUrl: model.url, nodeArgs: profileArgs(settings) })
  const sides = [await startOurs(model, parley, load)]
  for (const { name, file } of peers) if (name in goals) sides.push(await startPeer(name, file, load))
  const results = new Map<Side, Awaited<ReturnType<typeof measure>>[]>(sides.map((side) => [side, []]))
  const windows: Window[] = []
  let from = 0
  // the first round warms all of them up
  for (let round = 0; round <= settings.rounds; round++) {
    let next = from
    // another one begins each round
    for (let turn = 0; turn < sides.length; turn++) {
      const side = sides[(turn + round) % sides.length]!
      const result = await measure(side, from, windows, load)
      next = result.next
      if (round > 0) results.get(side)!.push(result)
    }
    from = next
  }
  const [ours, ...others] = sides
  const { followersEach, generations } = load
  for (const other of others) {
    const mine = results.get(ours!)!
    const theirs = results.get(other)!
    print({
      what: `CPU a delivered delta, ${generations} generations × ${followersEach.toLocaleString('en')} followers`,
      unit: 'µs',
      ours: mine.map(({ cpu }) => cpu),
      peer: { name: other.name, values: theirs.map(({ cpu }) => cpu) },
      goal: { of: 'ratio', atMost: goals[other.name]! },
      note: describe([mine, theirs]),
    })
  }
  for (const side of sides) await side.stop()
  await parley.stop()
  await model.stop()
  reportProfile(settings, `fan-out to ${followersEach}`, windows)
}

/** Whether a side was slower than its tokens: then its figure is that of a machine at its limit. */
function describe(sides: { arrived: number; p99: number }[][]): string | undefined {
  const worst = (rounds: { arrived: number }[]) => Math.min(...rounds.map(({ arrived }) => arrived))
  if (sides.every((rounds) => worst(rounds) > 0.95)) return undefined
  return `frames that came in time, of those due: ${sides.map((rounds) => `${Math.round(worst(rounds) * 100)} %`).join(', ')}`
}

export const fanout: Benchmark = {
  name: 'fanout',
  title: 'Fan-out: server CPU for each delivered delta, all the way from the provider, stored; the peers store nothing',
  async run(settings, print) {
    const windowMs = settings.isQuick ? 500 : 1_500
    const below = { Apollo: 1, mercurius: 1 }
    const few = { followersEach: 10, generations: 10, windowMs }
    await runOne(settings, print, few, { 'ws.send': 1.6, Yoga: 1, ...below })
    const many = { followersEach: 100, generations: 5, windowMs }
    await runOne(
      settings,
      print,
      many,
      settings.isQuick ? { 'ws.send': 1.25 } : { 'ws.send': 1.25, Yoga: 0.35, ...below },
    )
    if (settings.isQuick) return
    const most = { followersEach: 1000, generations: 2, windowMs }
    await runOne(settings, print, most, { 'ws.send': 1.15 })
    // one generation alone is more than these peers can do in time
    await runOne(settings, print, { ...most, generations: 1 }, { Yoga: 0.35, ...below })
  },
}
