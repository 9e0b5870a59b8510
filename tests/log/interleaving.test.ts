import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import type { Bus } from '../../server/bus/bus.ts'
import { MemoryBus } from '../../server/bus/memoryBus.ts'
import type { Job } from '../../server/generation/run.ts'
import { sessionEvent, type EventDraft, type SessionEvent } from '../../server/log/event.ts'
import { follow } from '../../server/log/follow.ts'
import { SessionLog } from '../../server/log/sessionLog.ts'
import type { Topics } from '../../server/topics.ts'
import { testRandom, type Random } from '../support/random.ts'
import { deltaRow, insertGeneration, insertSession, type SessionRows } from '../support/rows.ts'
import { describeOnEach, type TestStorage } from '../support/storages.ts'
import { faultsOf, readAll } from './followed.ts'
import { LossyBus } from './lossyBus.ts'

const turn = () => new Promise((resolve) => setImmediate(resolve))

interface Scene {
  database: TestStorage
  random: Random
  session: SessionRows
  jobs: Job[]
}

async function newScene(database: TestStorage): Promise<Scene> {
  const session = await insertSession(database.storage)
  const log = new SessionLog(database.storage, new MemoryBus<Topics>())
  const jobs = [
    await insertGeneration(database.storage, log, session),
    await insertGeneration(database.storage, log, session),
  ]
  return { database, random: testRandom(), session, jobs }
}

/** Appends `count` events or more, in transactions and as deltas, in bursts and one at a time. */
async function write({ database, random, session, jobs }: Scene, log: SessionLog, count: number): Promise<void> {
  const offsets = jobs.map(() => 0)
  let written = 0
  const appendSome = async (): Promise<void> => {
    const drafts = Array.from({ length: random.int(1, 4) }, (): EventDraft => ({
      kind: 'MessageUpdated',
      subjectId: randomUUID(),
    }))
    written += drafts.length
    await database.storage.transaction((tx) => log.append(tx, session.sessionId, drafts))
  }
  const appendDeltas = async (): Promise<void> => {
    const rows = Array.from({ length: random.int(1, 25) }, () => {
      const which = random.int(0, jobs.length - 1)
      const text = `${written++}:${'x'.repeat(random.int(0, 3))} `
      const textOffset = offsets[which]!
      offsets[which]! += text.length
      return { which, row: deltaRow(jobs[which]!, { textOffset, text }) }
    })
    const seqs = await database.storage.appendDeltas(rows.map(({ row }) => row))
    const events = rows.map(({ row, which }, index) =>
      sessionEvent({
        kind: 'MessageDelta',
        sessionId: session.sessionId,
        seq: seqs[index]!,
        messageId: jobs[which]!.messageId,
        offset: row.textOffset,
        text: row.text,
      }),
    )
    if (random.chance(0.5)) log.publish(session.sessionId, events)
    else for (const event of events) log.publish(session.sessionId, [event])
  }
  while (written < count) {
    await (random.chance(0.2)
      ? Promise.all([appendSome(), appendDeltas(), appendSome()])
      : random.pick([appendSome, appendDeltas])())
    if (random.chance(0.3)) await turn()
  }
}

/** Follows at a random pace, going away and coming back where it was, until it has the last event. */
async function read(
  { session, random }: Scene,
  log: SessionLog,
  after: number,
  last: () => number | undefined,
): Promise<SessionEvent[]> {
  const got: SessionEvent[] = []
  const laziness = random.pick([0, 0, 0.01, 0.2])
  const viewerId = randomUUID()
  while (true) {
    const controller = new AbortController()
    const stay = random.int(1, 400)
    let seen = 0
    const events = follow(log, session.sessionId, {
      after: got.at(-1)?.seq ?? after,
      viewerId,
      signal: controller.signal,
    })
    for await (const event of events) {
      got.push(event)
      if (event.seq === last()) return got
      if (random.chance(laziness)) for (let turns = random.int(1, 20); turns > 0; turns--) await turn()
      if (++seen === stay) break
    }
  }
}

/** Reads and writes at the same time, and counts what is wrong with what anyone got. */
async function play(scene: Scene, logs: SessionLog[], options: { events: number; readers: number }): Promise<string[]> {
  const { database, session, random } = scene
  const end: { seq?: number } = {}
  const from = Array.from({ length: options.readers }, () => random.int(0, 6))
  const reading = from.map(async (after, n) => read(scene, logs[n % logs.length]!, after, () => end.seq))
  await Promise.all(logs.map((log) => write(scene, log, options.events / logs.length)))
  const [event] = await database.storage.transaction((tx) =>
    logs[0]!.append(tx, session.sessionId, [{ kind: 'SessionUpdated' }]),
  )
  end.seq = event!.seq!
  const stored = await readAll(database.storage, session)
  expect(stored.map(({ seq }) => seq)).toEqual(stored.map((_, index) => index + 1))
  const got = await Promise.all(reading)
  return got.flatMap((events, n) => faultsOf(stored, from[n]!, events).map((fault) => `reader ${n}: ${fault}`))
}

function newLog(database: TestStorage, bus: Bus<Topics>): SessionLog {
  const log = new SessionLog(database.storage, bus, { pollIntervalMs: 20 })
  log.start()
  return log
}

describeOnEach('readers who come and go while others write', (database) => {
  test('get every event once, in order: 4,000 events', async () => {
    const scene = await newScene(database)
    const log = new SessionLog(database.storage, new MemoryBus<Topics>())
    expect(await play(scene, [log], { events: 4000, readers: 8 })).toEqual([])
    expect(log.followedSessions()).toEqual([])
    log.stop()
  })

  test('get every event once, in order, from a bus that loses, delays and doubles messages', async () => {
    const scene = await newScene(database)
    scene.jobs = scene.jobs.slice(0, 1)
    const bus = new LossyBus(scene.random, { drop: 0.3, late: 0.3, twice: 0.1 })
    const log = newLog(database, bus)
    expect(await play(scene, [log], { events: 2000, readers: 6 })).toEqual([])
    expect(bus.lost).toBeGreaterThan(20)
    log.stop()
  })

  test('get every event once, in order, where the bus loses everything', async () => {
    const scene = await newScene(database)
    const bus = new LossyBus(scene.random, { drop: 1, late: 0, twice: 0 })
    const log = newLog(database, bus)
    expect(await play(scene, [log], { events: 500, readers: 3 })).toEqual([])
    log.stop()
  })
})
