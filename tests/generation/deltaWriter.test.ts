import { setImmediate as turn } from 'node:timers/promises'
import { expect, onTestFinished, test, vi } from 'vitest'
import { MemoryBus } from '../../server/bus/memoryBus.ts'
import { DeltaWriter, type DeltaStream } from '../../server/generation/deltaWriter.ts'
import type { Job } from '../../server/generation/run.ts'
import type { SessionEvent } from '../../server/log/event.ts'
import { SessionLog } from '../../server/log/sessionLog.ts'
import type { Topics } from '../../server/topics.ts'
import { token } from '../support/fakeModelServer.ts'
import { testRandom } from '../support/random.ts'
import { insertGeneration, insertSession } from '../support/rows.ts'
import { describeOnEach, type TestStorage } from '../support/storages.ts'
import { readTold, textOf } from './harness.ts'
import { unsteady, type Fate } from './unsteady.ts'

const streamOf = (job: Job): DeltaStream & { isLost: boolean } => ({
  ...job,
  stored: '',
  pending: '',
  lastSeq: job.messageSeq,
  timeToFirstTokenMs: null,
  isLost: false,
  onLost() {
    this.isLost = true
  },
})

async function newWriter(database: TestStorage, fate: (call: number) => Fate = () => 'works', flushMs = 10) {
  const storage = unsteady(database.storage, fate)
  const bus = new MemoryBus<Topics>()
  const log = new SessionLog(storage, bus)
  const errors: string[] = []
  const logger = { debug() {}, info() {}, warn() {}, error: (message: string) => void errors.push(message) }
  const writer = new DeltaWriter(storage, log, logger, flushMs)
  onTestFinished(() => writer.stop())
  const shown: SessionEvent[] = []
  return {
    writer,
    storage,
    errors,
    shown,
    async stream() {
      const job = await insertGeneration(database.storage, log, await insertSession(database.storage))
      await bus.subscribe('session', job.sessionId, (events) => void shown.push(...events))
      return { job, stream: streamOf(job) }
    },
    shownText: (job: Job) => textOf(shown, job),
  }
}

/** Waits for a condition; with fake timers, lets so many milliseconds pass at each look. */
async function until(condition: () => boolean, advanceMs = 0): Promise<void> {
  while (!condition()) {
    if (advanceMs > 0) vi.advanceTimersByTime(advanceMs)
    await turn()
  }
}

function useFakeTimers(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  onTestFinished(() => void vi.useRealTimers())
}

describeOnEach('the writer of deltas', (database) => {
  test("stores a generation's first delta at once, whatever the tick and whatever waits for it", async () => {
    const { writer, storage, stream: newStream, shownText } = await newWriter(database, undefined, 3_600_000)
    const [one, two] = [await newStream(), await newStream()]
    writer.push(one.stream, 'first ')
    await until(() => one.stream.stored !== '')
    for (let n = 0; n < 100; n++) writer.push(one.stream, `${n} `)
    await turn()
    expect(storage.calls).toHaveLength(1)
    // another's first one does not wait for what waits
    writer.push(two.stream, 'hello')
    await until(() => two.stream.stored !== '')
    expect(storage.calls.map((rows) => rows.map((row) => row.text))).toEqual([['first '], ['hello']])
    expect(storage.calls.flat().map((row) => row.timeToFirstTokenMs === null)).toEqual([false, false])
    expect([shownText(one.job), shownText(two.job)]).toEqual(['first ', 'hello'])
    expect((await readTold(database, one.job)).text).toBe('first ')
    const rest = Array.from({ length: 100 }, (_, n) => `${n} `).join('')
    expect([await writer.finish(one.stream), await writer.finish(two.stream)]).toEqual([rest, ''])
  })

  test('joins all that came in one piece from the provider into one delta', async () => {
    const { writer, storage, stream: newStream } = await newWriter(database)
    const { stream } = await newStream()
    for (const piece of ['a', 'b', '', 'c']) writer.push(stream, piece)
    await until(() => stream.stored === 'abc')
    expect(storage.calls).toHaveLength(1)
  })

  test('shows nothing before it is stored', async () => {
    const { writer, stream: newStream, shown } = await newWriter(database)
    const { job, stream } = await newStream()
    writer.push(stream, 'text')
    let storedWhenShown: Promise<string> | undefined
    await until(() => {
      if (shown.length > 0) storedWhenShown ??= readTold(database, job).then(({ text: stored }) => stored)
      return shown.length > 0
    })
    expect(await storedWhenShown).toBe('text')
  })

  test('gives the last text back to who ends the generation, once what is being written is written', async () => {
    const { writer, stream: newStream } = await newWriter(database, undefined, 3_600_000)
    const { job, stream } = await newStream()
    writer.push(stream, 'written')
    await turn()
    writer.push(stream, ' and the rest\0\ud83d')
    const rest = await writer.finish(stream)
    expect(stream.stored + rest).toBe('written and the rest\uFFFD\uFFFD')
    expect((await readTold(database, job)).text).toBe(stream.stored)
    expect(stream.pending).toBe('')
  })

  test('loses and doubles nothing where the database fails, also after it has stored', async () => {
    useFakeTimers()
    const fates: Fate[] = ['works', 'fails', 'answer lost', 'answer lost', 'fails', 'works']
    const {
      writer,
      stream: newStream,
      errors,
      shownText,
    } = await newWriter(database, (call) => fates[call - 1] ?? 'works')
    const [one, two] = [await newStream(), await newStream()]
    const expected = ['', '']
    for (let n = 0; n < fates.length; n++) {
      for (const [index, { stream }] of [one, two].entries()) {
        const piece = `${index}${token('t', n)}😀`
        expected[index] += piece
        writer.push(stream, piece)
      }
      const before = errors.length + one.stream.stored.length
      await until(() => errors.length + one.stream.stored.length > before, 50)
    }
    await until(() => [one, two].every(({ stream }, index) => stream.stored === expected[index]), 50)
    expect(errors).toHaveLength(4)
    for (const [index, { job, stream }] of [one, two].entries()) {
      expect(await writer.finish(stream)).toBe('')
      expect([stream.stored, (await readTold(database, job)).text, shownText(job)]).toEqual(
        Array.from({ length: 3 }, () => expected[index]),
      )
    }
  })

  test.each(['fails', 'answer lost'] as const)(
    'loses and doubles nothing where a generation ends while the writer tries again what %s',
    async (fate) => {
      useFakeTimers()
      const {
        writer,
        storage,
        stream: newStream,
        errors,
        shownText,
      } = await newWriter(database, (call) => (call === 2 ? fate : 'works'), 0)
      const [one, two] = [await newStream(), await newStream()]
      writer.push(one.stream, 'a')
      await until(() => one.stream.stored !== '')
      writer.push(one.stream, 'uncertain')
      await until(() => errors.length > 0)
      writer.push(one.stream, ' rest')
      // the end looks whether the text is stored; before it knows, the writer's own time to look has come
      const { promise: answered, resolve: answer } = Promise.withResolvers<void>()
      const { readEvents } = storage
      Object.assign(storage, {
        readEvents: async (...args: Parameters<typeof readEvents>) => {
          const events = await readEvents(...args)
          await answered
          return events
        },
      })
      const finishing = writer.finish(one.stream)
      writer.push(two.stream, 'b')
      vi.advanceTimersByTime(1000)
      for (let turns = 0; turns < 10; turns++) await turn()
      answer()
      const rest = await finishing
      expect(one.stream.stored + rest).toBe('auncertain rest')
      await until(() => two.stream.stored === 'b', 50)
      expect([(await readTold(database, one.job)).text, shownText(one.job)]).toEqual([
        one.stream.stored,
        one.stream.stored,
      ])
      expect((await readTold(database, two.job)).text).toBe('b')
    },
  )

  test('doubles nothing where a write comes true after it was given up', async () => {
    useFakeTimers()
    const {
      writer,
      storage,
      stream: newStream,
      shownText,
    } = await newWriter(database, (call) => (call === 2 ? 'held up' : 'works'), 0)
    const { job, stream } = await newStream()
    writer.push(stream, 'a')
    await until(() => stream.stored === 'a')
    writer.push(stream, 'b')
    await until(() => storage.calls.length === 2)
    await until(() => stream.stored === 'ab', 50)
    await storage.arrive()
    writer.push(stream, 'c')
    await until(() => stream.stored === 'abc', 50)
    expect([(await readTold(database, job)).text, shownText(job), stream.isLost]).toEqual(['abc', 'abc', false])
  })

  test('goes on where also the answer is lost that would have fenced a lost write off', async () => {
    useFakeTimers()
    const {
      writer,
      storage,
      stream: newStream,
      errors,
      shownText,
    } = await newWriter(database, (call) => (call === 1 ? 'answer lost' : 'works'), 0)
    const { transaction } = storage
    let lost = 0
    Object.assign(storage, {
      async transaction(...args: Parameters<typeof transaction>) {
        const result = await transaction(...args)
        if (lost++ === 0) throw new Error('The connection broke.')
        return result
      },
    })
    const { job, stream } = await newStream()
    writer.push(stream, 'a')
    await until(() => errors.length === 1)
    writer.push(stream, 'b')
    await until(() => stream.stored === 'ab', 50)
    expect([lost, stream.isLost, (await readTold(database, job)).text, shownText(job)]).toEqual([2, false, 'ab', 'ab'])
  })

  test('gives a stream up whose lease was taken away while its write was uncertain', async () => {
    useFakeTimers()
    const {
      writer,
      storage,
      stream: newStream,
      errors,
    } = await newWriter(database, (call) => (call === 1 ? 'answer lost' : 'works'), 0)
    const { job, stream } = await newStream()
    writer.push(stream, 'a')
    await until(() => errors.length === 1)
    await storage.transaction((tx) =>
      tx.run(`UPDATE generations SET fence = fence + 1, status = 'INTERRUPTED', ended_at = ? WHERE id = ?`, [
        new Date(),
        job.generationId,
      ]),
    )
    await until(() => stream.isLost, 50)
    expect(await writer.finish(stream)).toBe('')
    expect((await readTold(database, job)).text).toBe('a')
  })

  test('leaves a database alone for a while that failed, also where first deltas come', async () => {
    useFakeTimers()
    const {
      writer,
      storage,
      stream: newStream,
    } = await newWriter(database, (call) => (call <= 1 ? 'fails' : 'works'), 0)
    const { stream } = await newStream()
    writer.push(stream, 'x')
    await until(() => storage.calls.length === 1)
    for (let n = 0; n < 50; n++) {
      writer.push(stream, 'x')
      await turn()
    }
    expect(storage.calls).toHaveLength(1)
    await until(() => stream.stored !== '', 50)
    expect(stream.stored).toBe('x'.repeat(51))
  })

  test('leaves it alone also where a tick was set for others when a first delta failed', async () => {
    useFakeTimers()
    let isAway = false
    const { writer, storage, stream: newStream } = await newWriter(database, () => (isAway ? 'fails' : 'works'), 100)
    const [one, two] = [await newStream(), await newStream()]
    vi.advanceTimersByTime(100)
    writer.push(one.stream, 'a')
    await until(() => one.stream.stored === 'a')
    // waits for the tick
    writer.push(one.stream, 'b')
    isAway = true
    writer.push(two.stream, 'first')
    await until(() => two.stream.pending === 'first' && storage.calls.length === 2)
    vi.advanceTimersByTime(400)
    for (let turns = 0; turns < 10; turns++) await turn()
    expect(storage.calls).toHaveLength(2)
    isAway = false
    await until(() => one.stream.stored === 'ab' && two.stream.stored === 'first', 50)
  })

  test('forgets nobody who waits, in whatever order first deltas, ticks, failures and ends come', async () => {
    useFakeTimers()
    const random = testRandom()
    const fates = (): Fate => (random.chance(0.1) ? random.pick(['fails', 'answer lost']) : 'works')
    const { writer, stream: newStream, shownText } = await newWriter(database, fates, 20)
    const streams = await Promise.all(Array.from({ length: 6 }, newStream))
    const expected = streams.map(() => '')
    for (let round = 0; round < 200; round++) {
      // those of higher number begin later
      const index = random.int(0, Math.min(round >> 4, streams.length - 1))
      const piece = random.pick(['a', 'bc', '😀', '\ud83d', ''])
      expected[index] += piece
      writer.push(streams[index]!.stream, piece)
      if (random.chance(0.3)) vi.advanceTimersByTime(random.int(0, 30))
      if (random.chance(0.3)) await turn()
    }
    const ended = random.int(0, streams.length - 1)
    const finishing = writer.finish(streams[ended]!.stream)
    const restOf = (index: number): string => expected[index]!.replace(/\ud83d$/, '').toWellFormed()
    await until(() => streams.every(({ stream }, index) => index === ended || stream.stored === restOf(index)), 50)
    const rest = await finishing
    expect(streams[ended]!.stream.stored + rest).toBe(expected[ended]!.toWellFormed())
    for (const { job, stream } of streams)
      expect([(await readTold(database, job)).text, shownText(job)]).toEqual([stream.stored, stream.stored])
  })

  test('tells the generation whose lease was taken away, drops its text, and writes the others', async () => {
    const { writer, stream: newStream, shownText } = await newWriter(database)
    const [lost, kept] = [await newStream(), await newStream()]
    await database.storage.transaction((tx) =>
      tx.run('UPDATE generations SET fence = fence + 1 WHERE id = ?', [lost.job.generationId]),
    )
    writer.push(lost.stream, 'zombie')
    writer.push(kept.stream, 'alive')
    await until(() => kept.stream.stored === 'alive')
    expect([lost.stream.isLost, kept.stream.isLost]).toEqual([true, false])
    expect([shownText(lost.job), (await readTold(database, lost.job)).text, lost.stream.pending]).toEqual(['', '', ''])
  })
})
