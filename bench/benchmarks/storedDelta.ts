import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { start, temporaryFolder } from '../support/children.ts'
import type { Benchmark } from '../support/benchmark.ts'
import type { DeltaWriterHost } from '../support/deltaWriterHost.ts'
import { profileArgs, reportProfile, type Window } from '../support/profile.ts'

export const storedDelta: Benchmark = {
  name: 'stored-delta',
  title: 'CPU for each stored delta: our writer and SQLite alone, 100 generations at 50 tokens/s',
  async run(settings, print) {
    const folder = temporaryFolder()
    try {
      const host = await start<DeltaWriterHost>('support/deltaWriterHost.ts', {
        args: [join(folder, 'parley.db')],
        nodeArgs: profileArgs(settings),
      })
      const load = { generations: 100, rate: 50, seconds: settings.isQuick ? 1 : 4 }
      const net: number[] = []
      const gross: number[] = []
      const windows: Window[] = []
      for (let round = 0; round <= settings.rounds; round++) {
        const stored = await host.call('run', { ...load, store: true })
        windows.push(stored.window)
        const driver = await host.call('run', { ...load, store: false })
        if (round === 0) continue
        net.push((stored.cpu - driver.cpu) / stored.stored)
        gross.push(stored.cpu / stored.stored)
      }
      await host.stop()
      print({
        what: 'a stored delta, without what the making of tokens costs',
        unit: 'µs',
        ours: net,
        goal: { of: 'value', atMost: 8 },
      })
      print({ what: 'with it', unit: 'µs', ours: gross })
      reportProfile(settings, 'stored-delta', windows)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
}
