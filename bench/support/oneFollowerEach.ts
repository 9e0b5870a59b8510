import { start, type Remote } from './children.ts'
import type { Followers } from './followers.ts'
import type { Model } from './model.ts'
import { inParallel, startParley, type ParleyOptions } from './parley.ts'
import type { Readers } from './readers.ts'
import type { Sample } from './reception.ts'
import { followQuery } from '../peers/deltaApi.ts'

/** A server through which many generations run at once, each with one follower. */
export interface Side {
  name: string
  pid: number
  /** Has so many generations run from now on, spread evenly over the time of a token. */
  begin(count: number, wish: { tokens: number; rate: number }): Promise<void>
  sample(): Promise<Sample>
  /** Resolves once all have arrived that were begun. */
  finish(): Promise<void>
  stop(): Promise<void>
}

const timeoutMs = 60_000

export async function startOurs(
  model: Remote<Model>,
  maxGenerations: number,
  options: Partial<ParleyOptions> = {},
): Promise<Side> {
  const parley = await startParley({ ...options, modelUrl: model.url })
  const sessions = await parley.createSessions(maxGenerations)
  const followers = await start<Followers>('support/followers.ts')
  await followers.call('open', {
    url: `${parley.url.replace('http', 'ws')}/graphql`,
    connectionParams: { authorization: `Bearer ${parley.token}` },
    query: followQuery,
    subscriptions: sessions.map((sessionId) => ({ variables: { sessionId, after: 0 }, from: 0, isTimed: true })),
  })
  let begun = { count: 0, tokens: 0 }
  return {
    name: 'Parley',
    pid: parley.pid,
    async begin(count, { tokens, rate }) {
      begun = { count, tokens }
      await followers.call('restart', { from: 0 })
      await inParallel(sessions.slice(0, count), (id, index) => parley.send(id, wishOf(index, count, tokens, rate)))
      await model.call('go', { count })
    },
    sample: () => followers.call('sample', undefined),
    finish: () => followers.call('reach', { next: begun.tokens, timeoutMs, count: begun.count }),
    async stop() {
      await followers.stop()
      await parley.stop()
    },
  }
}

/** The bare proxy. */
export async function startProxy(model: Remote<Model>): Promise<Side> {
  const proxy = await start('peers/bareProxy.ts', { args: [model.url] })
  const readers = await start<Readers>('support/readers.ts')
  let next = 0
  return {
    name: 'bare proxy',
    pid: proxy.pid,
    async begin(count, { tokens, rate }) {
      next = tokens
      const contents = Array.from({ length: count }, (_, index) => wishOf(index, count, tokens, rate))
      await readers.call('open', { url: proxy.url, contents })
      await model.call('go', { count })
    },
    sample: () => readers.call('sample', undefined),
    finish: () => readers.call('reach', { next, timeoutMs }),
    async stop() {
      await readers.stop()
      await proxy.stop()
    },
  }
}

/** What the model is asked for by one of so many generations that are to be spread evenly. */
export const wishOf = (index: number, count: number, tokens: number, rate: number, from = 0): string =>
  `[[from=${from} tokens=${tokens} rate=${rate} phase=${Math.round((index * 1e6) / rate / count)}]]`
