import { rmSync } from 'node:fs'
import { start, temporaryFolder } from '../support/children.ts'
import { micros, pause } from '../support/clock.ts'
import type { Benchmark } from '../support/benchmark.ts'
import type { CatchUpClient } from '../support/catchUpClient.ts'
import { startParley } from '../support/parley.ts'
import { profileArgs, reportProfile, type Window } from '../support/profile.ts'
import { openSeed } from '../support/seed.ts'
import type { ReadRows } from '../peers/readRows.ts'

export const catchUp: Benchmark = {
  name: 'catch-up',
  title: 'A follower who comes back from 10,000 events behind, against reading the rows and stringifying them',
  async run(settings, print) {
    const folder = temporaryFolder()
    const model = await start('support/model.ts')
    try {
      const first = await startParley({ modelUrl: model.url, folder })
      await first.stop()
      const seed = openSeed(first.databasePath)
      const logs = {
        'one answer of 10,000 deltas': seed.exchanges(first.userId, 1, 9_996),
        '100 questions and answers of 96 deltas': seed.exchanges(first.userId, 100, 96),
      }
      seed.close()
      const parley = await startParley({ modelUrl: model.url, folder, nodeArgs: profileArgs(settings) })
      const peer = await start<ReadRows>('peers/readRows.ts', { args: [first.databasePath] })
      const client = await start<CatchUpClient>('support/catchUpClient.ts')
      const windows: Window[] = []
      const turns = settings.isQuick ? 3 : 8
      for (const [what, { id, logId, lastSeq, characters }] of Object.entries(logs)) {
        const [mine, theirs]: [number[], number[]] = [[], []]
        for (let round = 0; round <= settings.rounds; round++) {
          let [ours, rows] = [0, 0]
          for (let turn = 0; turn < turns; turn++) {
            const url = `${parley.url.replace('http', 'ws')}/graphql`
            const startedAt = micros()
            ours += (await client.call('comeBack', { url, token: first.token, sessionId: id, lastSeq, characters })).ms
            windows.push([startedAt, micros()])
            const read = await peer.call('read', { logId })
            if (read.events !== lastSeq) throw new Error(`the rows are ${read.events}, not ${lastSeq}`)
            rows += read.ms
            await pause(20)
          }
          if (round === 0) continue
          mine.push((lastSeq * turns) / ours)
          theirs.push((lastSeq * turns) / rows)
        }
        print({
          what,
          unit: 'events/ms',
          ours: mine,
          peer: { name: 'rows', values: theirs },
          goal: { of: 'ratio', atLeast: 0.5 },
        })
      }
      for (const part of [client, peer, parley]) await part.stop()
      reportProfile(settings, 'catch-up', windows)
    } finally {
      await model.stop()
      rmSync(folder, { recursive: true, force: true })
    }
  },
}
