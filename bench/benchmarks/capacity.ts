import { start } from '../support/children.ts'
import { pause } from '../support/clock.ts'
import type { Benchmark } from '../support/benchmark.ts'
import type { Model } from '../support/model.ts'
import { startOurs, startProxy, type Side } from '../support/oneFollowerEach.ts'

const rate = 50
const limitMs = 50
/** Numbers of generations that are tried, each so many times the one before. */
const ladderOf = (factor: number): number[] => {
  const ladder = [100]
  while (ladder.at(-1)! < 1600) ladder.push(Math.round((ladder.at(-1)! * factor) / 10) * 10)
  return ladder
}

/** Whether a server carries so many generations: all tokens come, with an added 99th percentile below the limit. */
async function carries(side: Side, generations: number, windowMs: number): Promise<boolean> {
  const warmMs = 700
  const tokens = Math.ceil(((warmMs + windowMs + 100) * rate) / 1000)
  await side.begin(generations, { tokens, rate })
  await pause(warmMs)
  const before = await side.sample()
  await pause(windowMs)
  const after = await side.sample()
  await side.finish()
  await pause(300)
  const due = (generations * rate * windowMs) / 1000
  return after.p99 < limitMs && after.tokens - before.tokens > 0.95 * due
}

/** The highest rung that it carries, looked for from where it was found before. */
async function climb(side: Side, ladder: number[], from: number, windowMs: number): Promise<number> {
  let rung = from
  if (await carries(side, ladder[rung]!, windowMs)) {
    while (rung + 1 < ladder.length && (await carries(side, ladder[rung + 1]!, windowMs))) rung++
    return rung
  }
  while (rung > 0 && !(await carries(side, ladder[--rung]!, windowMs)));
  return rung
}

export const capacity: Benchmark = {
  name: 'capacity',
  title:
    'Generations at 50 tokens/s, one follower each, that one process carries with an added p99 below 50 ms, stored',
  async run({ rounds, isQuick }, print) {
    const ladder = ladderOf(isQuick ? 1.8 : 1.125)
    const model = await start<Model>('support/model.ts')
    const ours = await startOurs(model, ladder.at(-1)!)
    const proxy = await startProxy(model)
    const windowMs = isQuick ? 400 : 1_200
    const mine: number[] = []
    const theirs: number[] = []
    // the first round climbs from here, the others from where the one before ended
    const begin = (generations: number) => ladder.findIndex((rung) => rung >= generations)
    let [ourRung, proxyRung] = [begin(200), begin(400)]
    for (let round = 0; round < rounds; round++) {
      ourRung = await climb(ours, ladder, ourRung, windowMs)
      proxyRung = await climb(proxy, ladder, proxyRung, windowMs)
      mine.push(ladder[ourRung]!)
      theirs.push(ladder[proxyRung]!)
    }
    for (const part of [ours, proxy, model]) await part.stop()
    print({
      what: 'generations',
      unit: 'at once',
      ours: mine,
      peer: { name: proxy.name, values: theirs },
      goal: { of: 'ratio', atLeast: 0.5 },
      note: 'the model, the server and the followers share this machine',
    })
  },
}
