import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Storage } from '../../server/storage/storage.ts'
import { text } from '../support/fakeModelServer.ts'
import { testRandom } from '../support/random.ts'
import { describeOnEach } from '../support/storages.ts'
import { readGeneration, readTold, startModel, startNode, textOf } from './harness.ts'
import { unsteady } from './unsteady.ts'

describeOnEach('a generation on a database that fails now and then', (database) => {
  test('is byte-equal everywhere all the same', async () => {
    const random = testRandom()
    let bad = 0
    const storage = unsteady(database.storage, (call) => {
      // a few failures in the first calls; each costs half a second of rest
      if (call > 8 || bad >= 3 || !random.chance(0.5)) return 'works'
      bad++
      return random.pick(['fails', 'answer lost'])
    })
    const node = await startNode(database, await startModel({ tokens: 300, rate: 2000, unicode: true }), { storage })
    const { job, ended } = await node.ask()
    const whole = text('seed', 300, true)
    expect(textOf(await ended, job)).toBe(whole)
    expect((await readGeneration(database, job)).content).toBe(whole)
    expect(await readTold(database, job)).toEqual({ text: whole, ends: 1 })
  })

  test('is ended once where storing its end fails at first, and where only the answer to it was lost', async () => {
    for (const isStored of [false, true]) {
      let failures = 1
      const storage: Storage = {
        ...database.storage,
        async transaction(work) {
          let isEnd = false
          const result = await database.storage.transaction(async (tx) => {
            const run: typeof tx.run = (sql, params) => {
              isEnd ||= sql.includes('INSERT INTO usage_records')
              return tx.run(sql, params)
            }
            const done = await work({ ...tx, em: undefined as never, run })
            if (isEnd && !isStored && failures-- > 0) throw new Error('The database is away.')
            return done
          })
          if (isEnd && isStored && failures-- > 0) throw new Error('The connection broke.')
          return result
        },
      }
      const node = await startNode(database, await startModel({ tokens: 50 }), { storage })
      const { job, ended } = await node.ask()
      expect(textOf(await ended, job)).toBe(text('seed', 50))
      await node.generations.stop(job.generationId)
      expect(node.errors.length).toBeGreaterThanOrEqual(1)
      expect(await readGeneration(database, job)).toMatchObject({ status: 'COMPLETE', content: text('seed', 50) })
      expect(await readTold(database, job)).toEqual({ text: text('seed', 50), ends: 1 })
    }
  })
})

describeOnEach('a long answer', (database) => {
  test('is written into its message now and then; that and the deltas beyond it are always the whole', async () => {
    const node = await startNode(database, await startModel({ tokens: 10_000, rate: 200 }))
    const { job, seen } = await node.ask()
    await seen(10)
    let checkpoint = 0
    while (checkpoint === 0) {
      const [row] = await database.storage.read.all<{ content: string; contentSeq: number; seq: number }>(
        'SELECT content, content_seq AS "contentSeq", seq FROM messages WHERE id = ?',
        [job.messageId],
      )
      const before = (await database.storage.readEvents(job.logId, 0, 20_000)).filter(
        ({ seq, messageSeq }) => messageSeq === row!.seq && seq <= row!.contentSeq,
      )
      expect(row!.content).toBe(before.map(({ data }) => data).join(''))
      checkpoint = row!.content.length
      await turn()
    }
    expect(await readGeneration(node, job)).toMatchObject({ messageStatus: 'STREAMING' })
    await node.generations.stop(job.generationId)
    const stored = await readGeneration(node, job)
    expect(stored.content.length).toBeGreaterThanOrEqual(checkpoint)
    expect(await readTold(node, job)).toEqual({ text: stored.content, ends: 1 })
  })
})
