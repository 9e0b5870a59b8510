import { setImmediate as turn } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { MemoryBus } from '../../server/bus/memoryBus.ts'
import { sessionEvent, type SessionEvent } from '../../server/log/event.ts'
import { SessionLog } from '../../server/log/sessionLog.ts'
import type { Storage } from '../../server/storage/storage.ts'
import type { Topics } from '../../server/topics.ts'
import { Group, type Renderer } from '../../server/websocket/group.ts'
import { busyFor } from '../support/busy.ts'
import { insertEvents, insertMessage, insertSession } from '../support/rows.ts'
import { openTestStorage, type TestStorage } from '../support/storages.ts'

let database: TestStorage
beforeAll(async () => {
  database = await openTestStorage('sqlite')
})
afterAll(() => database?.close())

type Shown = Pick<SessionEvent, 'kind' | 'seq' | 'isOn'>
const payloadOf = ({ kind, seq, isOn }: SessionEvent): string => JSON.stringify({ kind, seq, isOn })
const plainly: Renderer = { one: payloadOf, several: (events) => events.map(payloadOf) }

/** An outlet that is full when the test says so, and what came through it. */
function newOutlet() {
  let waiting: (() => void)[] = []
  const shown: Shown[] = []
  return {
    isWritable: true,
    shown,
    get isAwaited() {
      return waiting.length > 0
    },
    send: (frame: string) => void shown.push(JSON.parse(frame) as Shown),
    onDrain: (callback: () => void) => void waiting.push(callback),
    drain() {
      this.isWritable = true
      const callbacks = waiting
      waiting = []
      for (const callback of callbacks) callback()
    },
  }
}

/** A group of one, who is live once it has what was stored before beyond `after`. */
async function newGroup({
  storage = database.storage,
  renderer = plainly,
  stored = 0,
  after = null as number | null,
} = {}) {
  const log = new SessionLog(storage, new MemoryBus<Topics>())
  onTestFinished(() => log.stop())
  const session = await insertSession(database.storage)
  if (stored > 0) await insertEvents(database.storage, session, stored)
  const outlet = newOutlet()
  const ends: string[] = []
  const group = new Group(log, session.sessionId, renderer, () => undefined)
  const leave = await group.join({
    viewerId: session.ownerId,
    after,
    outlet,
    authorize: async () => undefined,
    opening: '',
    closing: '',
    onEnd: (end) => void ends.push(end),
  })
  const typing = (isOn: boolean): void =>
    log.passBy(sessionEvent({ kind: 'TypingChanged', sessionId: session.sessionId, subjectId: 'bob', isOn }))
  return { log, session, outlet, ends, typing, leave }
}

it('what passes by a member whose socket is full comes once there is room, and before what comes later', async () => {
  const { log, session, outlet, typing } = await newGroup()
  outlet.isWritable = false
  typing(true)
  expect(outlet.shown).toEqual([])
  outlet.drain()
  await expect.poll(() => outlet.shown.map(({ isOn }) => isOn)).toEqual([true])
  typing(false)
  outlet.isWritable = false
  const { seq } = await insertMessage(database.storage, log, session)
  outlet.drain()
  await expect.poll(() => outlet.shown.at(-1)?.seq).toBe(seq)
  await turn()
  expect(outlet.shown).toMatchObject([
    { kind: 'TypingChanged', isOn: true },
    { kind: 'TypingChanged', isOn: false },
    { kind: 'MessageAdded', seq },
  ])
})

it('a deletion is told to a member that lags behind, as the last thing before its end', async () => {
  const { log, session, outlet, ends } = await newGroup()
  outlet.isWritable = false
  await insertMessage(database.storage, log, session)
  expect(outlet.isAwaited).toBe(true)
  await database.storage.transaction(async (tx) => {
    await tx.run('DELETE FROM sessions WHERE id = ?', [session.sessionId])
    tx.afterCommit(() => log.deleted(session.sessionId))
  })
  await expect.poll(() => ends).toEqual(['deleted'])
  outlet.drain()
  await turn()
  expect(outlet.shown).toMatchObject([{ kind: 'SessionDeleted' }])
  expect(log.followedSessions()).toEqual([])
})

it('a read of the database that fails ends the members, and is not tried again and again', async () => {
  const { readEvents } = database.storage
  let reads = 0
  let failures = 0
  const failing: Storage = {
    ...database.storage,
    readEvents(...args) {
      // it works again at last, or the test itself could not go on
      if (++reads > 1_000) return readEvents(...args)
      failures++
      return Promise.reject(new Error('The database is away.'))
    },
  }
  const isShown = Promise.withResolvers<void>()
  const slowly: Renderer = {
    ...plainly,
    one: (event) => isShown.promise.then(() => payloadOf(event)),
  }
  const { log, session, ends } = await newGroup({ storage: failing, renderer: slowly })
  await insertMessage(database.storage, log, session)
  // so many that memory does not reach back to where the group is
  await database.storage.transaction((tx) =>
    log.append(
      tx,
      session.sessionId,
      Array.from({ length: 1_100 }, () => ({ kind: 'SessionUpdated' as const })),
    ),
  )
  isShown.resolve()
  await expect.poll(() => ends).toEqual(['failed'])
  await turn()
  expect(failures).toBe(1)
  expect(log.followedSessions()).toEqual([])
})

describe('a member with a long way to catch up', () => {
  const stored = 5_000
  let rendered = 0
  /** As long as a selection of some fields takes. */
  const slow = (event: SessionEvent): string => {
    rendered++
    busyFor(0.1)
    return payloadOf(event)
  }
  const busily: Renderer = { one: slow, several: (events) => events.map(slow) }
  beforeEach(() => void (rendered = 0))

  it('lets others be answered all the time, and then gets what comes', async () => {
    const { log, session, outlet } = await newGroup({ renderer: busily, stored, after: 0 })
    let answers = 0
    let longest = 0
    let before = performance.now()
    while (outlet.shown.length < stored) {
      await turn()
      const [row] = await database.storage.read.all('SELECT last_seq FROM session_logs WHERE session_id = ?', [
        session.sessionId,
      ])
      expect(row).toBeDefined()
      const now = performance.now()
      longest = Math.max(longest, now - before)
      before = now
      answers++
    }
    // half a second of work
    expect(answers).toBeGreaterThan(10)
    expect(longest).toBeLessThan(250)
    const { seq } = await insertMessage(database.storage, log, session)
    await expect.poll(() => outlet.shown.at(-1)?.seq).toBe(seq)
    expect(outlet.shown.map((event) => event.seq)).toEqual(Array.from({ length: stored + 1 }, (_, n) => n + 1))
  })

  it('gets what is stored while it catches up once, and in order', async () => {
    const { log, session, outlet } = await newGroup({ renderer: busily, stored, after: 0 })
    const live: number[] = []
    while (outlet.shown.length < stored) {
      await turn()
      live.push((await insertMessage(database.storage, log, session)).seq)
    }
    await expect.poll(() => outlet.shown.at(-1)?.seq).toBe(live.at(-1))
    expect(outlet.shown.map((event) => event.seq)).toEqual(Array.from({ length: live.at(-1)! }, (_, n) => n + 1))
  })

  it('is read for no longer once it has left', async () => {
    const { outlet, leave } = await newGroup({ renderer: busily, stored, after: 0 })
    await turn()
    leave()
    const [shown, done] = [outlet.shown.length, rendered]
    expect(shown).toBeLessThan(stored)
    for (let n = 0; n < 20; n++) await turn()
    expect(outlet.shown.length).toBe(shown)
    expect(rendered).toBe(done)
  })
})

it('many groups that an event wakes let others be answered before all have shown it', async () => {
  const dear = (event: SessionEvent): string => {
    busyFor(5)
    return payloadOf(event)
  }
  const log = new SessionLog(database.storage, new MemoryBus<Topics>())
  onTestFinished(() => log.stop())
  const session = await insertSession(database.storage)
  const outlets = Array.from({ length: 50 }, newOutlet)
  for (const outlet of outlets)
    await new Group(log, session.sessionId, { one: dear, several: (events) => events.map(dear) }, () => undefined).join(
      {
        viewerId: session.ownerId,
        after: null,
        outlet,
        authorize: async () => undefined,
        opening: '',
        closing: '',
        onEnd: () => undefined,
      },
    )
  const seqs = [
    await insertMessage(database.storage, log, session),
    await insertMessage(database.storage, log, session),
  ].map(({ seq }) => seq)
  const shownCount = (): number => outlets.reduce((sum, { shown }) => sum + shown.length, 0)
  let answers = 0
  while (shownCount() < 2 * outlets.length) {
    await turn()
    answers++
  }
  expect(answers).toBeGreaterThan(10)
  for (const { shown } of outlets) expect(shown.map(({ seq }) => seq)).toEqual(seqs)
})
