import { start } from '../support/children.ts'
import { micros, pause } from '../support/clock.ts'
import { cpuMicros } from '../support/cpu.ts'
import type { Benchmark } from '../support/benchmark.ts'
import type { Model } from '../support/model.ts'
import { startOurs, startProxy, type Side } from '../support/oneFollowerEach.ts'
import { profileArgs, reportProfile, type Window } from '../support/profile.ts'

const rate = 50

/** Microseconds of the server's CPU for each token that arrived, while all generations run. */
async function measure(side: Side, generations: number, windowMs: number, windows: Window[]): Promise<number> {
  const warmMs = 700
  const tokens = Math.ceil(((warmMs + windowMs + 300) * rate) / 1000)
  await side.begin(generations, { tokens, rate })
  await pause(warmMs)
  const [cpuBefore, before] = [cpuMicros(side.pid), await side.sample()]
  const startedAt = micros()
  await pause(windowMs)
  if (side.name === 'Parley') windows.push([startedAt, micros()])
  const [cpuAfter, after] = [cpuMicros(side.pid), await side.sample()]
  await side.finish()
  await pause(300)
  return (cpuAfter - cpuBefore) / (after.tokens - before.tokens)
}

export const ingestion: Benchmark = {
  name: 'ingestion',
  title:
    'Server CPU for each token of 100 generations at 50 tokens/s, one follower each, stored; the proxy stores nothing',
  async run(settings, print) {
    const generations = 100
    const model = await start<Model>('support/model.ts')
    const ours = await startOurs(model, generations, { nodeArgs: profileArgs(settings) })
    const proxy = await startProxy(model)
    const windowMs = settings.isQuick ? 1_000 : 4_000
    const [mine, theirs]: [number[], number[]] = [[], []]
    const windows: Window[] = []
    for (let round = 0; round <= settings.rounds; round++) {
      for (const side of round % 2 ? [proxy, ours] : [ours, proxy]) {
        const cpu = await measure(side, generations, windowMs, windows)
        if (round > 0) (side === ours ? mine : theirs).push(cpu)
      }
    }
    for (const part of [ours, proxy, model]) await part.stop()
    print({
      what: 'CPU a token',
      unit: 'µs',
      ours: mine,
      peer: { name: proxy.name, values: theirs },
      goal: { of: 'ratio', atMost: 2 },
    })
    reportProfile(settings, 'ingestion', windows)
  },
}
