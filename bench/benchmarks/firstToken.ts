import { start } from '../support/children.ts'
import { pause } from '../support/clock.ts'
import { median } from '../support/statistics.ts'
import type { Benchmark } from '../support/benchmark.ts'
import type { FirstTokenClient } from '../support/firstTokenClient.ts'
import type { Followers } from '../support/followers.ts'
import type { Model } from '../support/model.ts'
import { wishOf } from '../support/oneFollowerEach.ts'
import { inParallel, startParley } from '../support/parley.ts'
import type { Readers } from '../support/readers.ts'
import { followQuery } from '../peers/deltaApi.ts'

const running = 100
const rate = 50

export const firstToken: Benchmark = {
  name: 'first-token',
  title: 'Time to first token, from the request to its arrival, over that of a proxy to the same provider',
  async run({ rounds, isQuick }, print) {
    const model = await start<Model>('support/model.ts')
    const parley = await startParley({ modelUrl: model.url })
    const proxy = await start('peers/bareProxy.ts', { args: [model.url] })
    const client = await start<FirstTokenClient>('support/firstTokenClient.ts')
    const followers = await start<Followers>('support/followers.ts')
    const readers = await start<Readers>('support/readers.ts')

    const [sessions, busy] = [await parley.createSessions(10), await parley.createSessions(running)]
    const { url, token } = parley
    await client.call('follow', { url, token, sessions })
    await followers.call('open', {
      url: `${url.replace('http', 'ws')}/graphql`,
      connectionParams: { authorization: `Bearer ${token}` },
      query: followQuery,
      subscriptions: busy.map((sessionId) => ({ variables: { sessionId, after: 0 }, from: 0, isTimed: false })),
    })
    const samples = isQuick ? 5 : 40
    const takeOurs = async () => {
      const times: number[] = []
      for (let n = 0; n < samples; n++) {
        times.push(await client.call('ours', { url, token, sessionId: sessions[n % sessions.length]! }))
        await pause(5)
      }
      return median(times)
    }
    const takeProxy = async () => {
      const times: number[] = []
      for (let n = 0; n < samples; n++) {
        times.push(await client.call('proxy', { url: proxy.url }))
        await pause(5)
      }
      return median(times)
    }

    const tokens = rate * (isQuick ? 1.5 : 5)
    const warmMs = 300
    const idle: { ours: number[]; proxy: number[] } = { ours: [], proxy: [] }
    const loaded: typeof idle = { ours: [], proxy: [] }
    for (let round = 0; round <= rounds; round++) {
      const [ours, theirs] = [await takeOurs(), await takeProxy()]
      // 100 others run through the same server meanwhile
      await followers.call('restart', { from: 0 })
      await inParallel(busy, (id, index) => parley.send(id, wishOf(index, running, tokens, rate)))
      await model.call('go', { count: running })
      await pause(warmMs)
      const oursLoaded = await takeOurs()
      await followers.call('reach', { next: tokens, timeoutMs: 30_000 })
      await readers.call('open', {
        url: proxy.url,
        contents: busy.map((_, index) => wishOf(index, running, tokens, rate)),
      })
      await model.call('go', { count: running })
      await pause(warmMs)
      const theirsLoaded = await takeProxy()
      await readers.call('reach', { next: tokens, timeoutMs: 30_000 })
      if (round === 0) continue
      idle.ours.push(ours)
      idle.proxy.push(theirs)
      loaded.ours.push(oursLoaded)
      loaded.proxy.push(theirsLoaded)
    }
    for (const part of [client, followers, readers, proxy, parley, model]) await part.stop()
    const print2 = (what: string, { ours, proxy: values }: typeof idle, atMost: number) =>
      print({
        what,
        unit: 'ms',
        ours,
        peer: { name: 'bare proxy', values },
        goal: { of: 'difference', atMost },
      })
    print2('first token, idle', idle, 1)
    print2(`first token, ${running} running`, loaded, 3)
  },
}
