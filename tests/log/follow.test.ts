import { randomUUID } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { MemoryBus } from '../../server/bus/memoryBus.ts'
import { ForbiddenError, InvalidInputError, NotFoundError } from '../../server/errors.ts'
import { sessionEvent, type EventDraft, type SessionEvent } from '../../server/log/event.ts'
import { follow } from '../../server/log/follow.ts'
import { SessionLog } from '../../server/log/sessionLog.ts'
import type { Topics } from '../../server/topics.ts'
import { busyFor } from '../support/busy.ts'
import { insertEvents, insertMessage, insertSession, type SessionRows } from '../support/rows.ts'
import { describeOnEach, openTestStorage, type TestStorage } from '../support/storages.ts'

const updated: EventDraft = { kind: 'SessionUpdated' }

describeOnEach('following a session', (database) => {
  let log: SessionLog
  let session: SessionRows

  beforeAll(() => {
    log = new SessionLog(database.storage, new MemoryBus<Topics>())
  })
  beforeEach(async () => {
    session = await insertSession(database.storage)
  })
  afterAll(() => log.stop())

  const append = (...drafts: EventDraft[]): Promise<SessionEvent[]> =>
    database.storage.transaction((tx) => log.append(tx, session.sessionId, drafts))
  const start = (after: number | null, viewerId: string = randomUUID()) => {
    const controller = new AbortController()
    onTestFinished(() => controller.abort())
    return follow(log, session.sessionId, { after, viewerId, signal: controller.signal })
  }
  const quiet = { wake() {}, passBy() {}, left() {}, end() {} }
  const take = async (events: AsyncGenerator<SessionEvent, void>, count: number): Promise<SessionEvent[]> => {
    const taken: SessionEvent[] = []
    while (taken.length < count) {
      const next = await events.next()
      if (next.done) break
      taken.push(next.value)
    }
    return taken
  }
  const seqs = (events: readonly SessionEvent[]) => events.map(({ seq }) => seq)

  test('from 0 gives everything stored, then what comes', async () => {
    const stored = await append(updated, updated, updated)
    const events = start(0)
    expect(await take(events, 3)).toEqual(stored)
    const next = events.next()
    const [live] = await append(updated)
    expect((await next).value).toEqual(live)
  })

  test('from the middle gives what lies beyond, from the end only what comes', async () => {
    await append(updated, updated, updated, updated)
    const [middle, end] = [start(2), start(4)]
    expect(seqs(await take(middle, 2))).toEqual([3, 4])
    const next = Promise.all([middle.next(), end.next()])
    const [live] = await append(updated)
    expect((await next).map(({ value }) => value)).toEqual([live, live])
  })

  test('without a position gives only what comes', async () => {
    await append(updated, updated)
    const events = start(null)
    const first = events.next()
    // attached behind it: when this one is ready, so is that
    const tail = await log.attach(session.sessionId, quiet)
    const [live] = await append(updated)
    expect((await first).value).toEqual(live)
    log.detach(tail, quiet)
  })

  test('from beyond the end gives Resync with the end, then what comes', async () => {
    await append(updated, updated)
    const events = start(1000)
    expect((await events.next()).value).toMatchObject({ kind: 'Resync', seq: null, lastSeq: 2 })
    const next = events.next()
    await append(updated)
    expect((await next).value).toMatchObject({ kind: 'SessionUpdated', seq: 3 })
  })

  test('from a position that this node has not heard of yet gives no Resync', async () => {
    await append(updated)
    const here = start(0)
    await take(here, 1)
    // another node, whose bus does not reach this one
    const elsewhere = new SessionLog(database.storage, new MemoryBus<Topics>())
    await database.storage.transaction((tx) => elsewhere.append(tx, session.sessionId, [updated, updated, updated]))
    const events = start(3)
    expect((await events.next()).value).toMatchObject({ kind: 'SessionUpdated', seq: 4 })
    expect(seqs(await take(here, 3))).toEqual([2, 3, 4])
  })

  test('from a negative position is refused', async () => {
    await expect(start(-1).next()).rejects.toThrow(InvalidInputError)
    await expect(start(-1).next()).rejects.toMatchObject({ fields: [{ path: ['after'] }] })
  })

  test('that does not exist is not found, and leaves nothing behind', async () => {
    session = { ...session, sessionId: randomUUID() }
    await expect(start(0).next()).rejects.toThrow(NotFoundError)
    await expect(start(null).next()).rejects.toThrow(NotFoundError)
    expect(log.followedSessions()).not.toContain(session.sessionId)
  })

  test('joins the deltas of one message that pile up, and only those that follow each other', async () => {
    const one = await insertMessage(database.storage, log, session)
    const two = await insertMessage(database.storage, log, session)
    const delta = (message: { id: string; seq: number }, offset: number, text: string): EventDraft => ({
      kind: 'MessageDelta',
      delta: { messageId: message.id, messageSeq: message.seq, offset, text },
    })
    const events = start(2)
    const first = events.next()
    await append(delta(one, 0, 'a'))
    expect((await first).value).toMatchObject({ seq: 3, text: 'a' })
    await append(delta(one, 1, 'b'), delta(one, 2, '😀'), delta(two, 0, 'x'), delta(one, 4, 'c'))
    await append(updated, delta(two, 1, 'y'), delta(two, 2, 'z'))
    const expected = [
      { kind: 'MessageDelta', seq: 5, messageId: one.id, offset: 1, text: 'b😀' },
      { kind: 'MessageDelta', seq: 6, messageId: two.id, offset: 0, text: 'x' },
      { kind: 'MessageDelta', seq: 7, messageId: one.id, offset: 4, text: 'c' },
      { kind: 'SessionUpdated', seq: 8 },
      { kind: 'MessageDelta', seq: 10, messageId: two.id, offset: 1, text: 'yz' },
    ]
    expect(await take(events, 5)).toMatchObject(expected)
    // the same from the database, by whom nothing was kept
    const fresh = new SessionLog(database.storage, new MemoryBus<Topics>())
    onTestFinished(() => fresh.stop())
    const again = follow(fresh, session.sessionId, { after: 2, viewerId: randomUUID() })
    expect(await take(again, 5)).toMatchObject([
      { seq: 5, offset: 0, text: 'ab😀', messageId: one.id },
      ...expected.slice(1),
    ])
  })

  test('from far behind reads from the database, and comes to the end without a hole', async () => {
    const events = start(0)
    const first = events.next()
    for (let time = 0; time < 25; time++) await append(...Array.from({ length: 100 }, () => updated))
    expect((await first).value).toMatchObject({ seq: 1 })
    // the tail keeps the newest thousand at most; this is 2,500 behind
    expect(seqs(await take(events, 2499))).toEqual(Array.from({ length: 2499 }, (_, n) => n + 2))
    const next = events.next()
    await append(updated)
    expect((await next).value).toMatchObject({ seq: 2501 })
  })

  test('a long log lets others be answered all the time, and ends when it is aborted', async () => {
    const stored = 5_000
    await insertEvents(database.storage, session, stored)
    const controller = new AbortController()
    onTestFinished(() => controller.abort())
    const events = follow(log, session.sessionId, { after: 0, viewerId: randomUUID(), signal: controller.signal })
    let seen = 0
    const reading = (async () => {
      for await (const event of events) {
        expect(event.seq).toBe(++seen)
        busyFor(0.1)
      }
    })()
    let answers = 0
    let longest = 0
    let before = performance.now()
    while (seen < stored / 2) {
      await turn()
      await database.storage.read.all('SELECT 1 AS one', [])
      const now = performance.now()
      longest = Math.max(longest, now - before)
      before = now
      answers++
    }
    // a quarter of a second of work
    expect(answers).toBeGreaterThan(10)
    expect(longest).toBeLessThan(250)
    controller.abort()
    await reading
    expect(seen).toBeLessThan(stored)
  })

  test('gives what passes by after what is stored, and only the newest of each kind and person', async () => {
    const [ada, bob] = [randomUUID(), randomUUID()]
    const events = start(0)
    const first = events.next()
    await append(updated)
    await first
    const passing = (kind: 'TypingChanged' | 'PresenceChanged', subjectId: string, isOn: boolean) =>
      log.passBy(sessionEvent({ kind, sessionId: session.sessionId, subjectId, isOn }))
    passing('TypingChanged', ada, true)
    passing('PresenceChanged', ada, true)
    passing('TypingChanged', ada, false)
    passing('TypingChanged', bob, true)
    await append(updated)
    expect(await take(events, 4)).toMatchObject([
      { kind: 'SessionUpdated', seq: 2 },
      { kind: 'TypingChanged', subjectId: ada, isOn: false, seq: null },
      { kind: 'PresenceChanged', subjectId: ada, isOn: true },
      { kind: 'TypingChanged', subjectId: bob, isOn: true },
    ])
  })

  test("does not echo someone's typing to themself, but their presence", async () => {
    const viewerId = randomUUID()
    const events = start(0, viewerId)
    const first = events.next()
    await append(updated)
    await first
    log.passBy(sessionEvent({ kind: 'TypingChanged', sessionId: session.sessionId, subjectId: viewerId, isOn: true }))
    log.passBy(sessionEvent({ kind: 'PresenceChanged', sessionId: session.sessionId, subjectId: viewerId, isOn: true }))
    expect((await events.next()).value).toMatchObject({ kind: 'PresenceChanged' })
    const next = events.next()
    await append(updated)
    expect((await next).value).toMatchObject({ seq: 2 })
  })

  test('ends with SessionDeleted when the session is deleted', async () => {
    await append(updated)
    const events = start(0)
    await events.next()
    const next = events.next()
    await database.storage.transaction((tx) => tx.run('DELETE FROM sessions WHERE id = ?', [session.sessionId]))
    log.deleted(session.sessionId)
    expect((await next).value).toMatchObject({ kind: 'SessionDeleted', sessionId: session.sessionId })
    expect(await events.next()).toEqual({ done: true, value: undefined })
    expect(log.followedSessions()).not.toContain(session.sessionId)
  })

  test('ends with SessionDeleted also for a reader who is busy with what passed by before', async () => {
    await append(updated)
    const events = start(0)
    await events.next()
    for (const subjectId of [randomUUID(), randomUUID()])
      log.passBy(sessionEvent({ kind: 'TypingChanged', sessionId: session.sessionId, subjectId, isOn: true }))
    expect((await events.next()).value).toMatchObject({ kind: 'TypingChanged' })
    log.deleted(session.sessionId)
    expect((await events.next()).value).toMatchObject({ kind: 'SessionDeleted' })
    expect((await events.next()).done).toBe(true)
  })

  test('tells of a deletion that the bus lost, also to one who was still reading, without asking in a loop', async () => {
    const bus = new MemoryBus<Topics>()
    let reads = 0
    const read = {
      ...database.storage.read,
      all: <R extends object>(...args: Parameters<typeof database.storage.read.all>) => {
        reads++
        return database.storage.read.all<R>(...args)
      },
    }
    const other = new SessionLog({ ...database.storage, read }, bus, { pollIntervalMs: 50 })
    const events = follow(other, session.sessionId, { after: 0, viewerId: randomUUID() })
    const first = events.next()
    // more than is kept in memory
    for (let time = 0; time < 22; time++)
      await database.storage.transaction((tx) =>
        other.append(
          tx,
          session.sessionId,
          Array.from({ length: 100 }, () => updated),
        ),
      )
    await first
    await database.storage.transaction((tx) => tx.run('DELETE FROM sessions WHERE id = ?', [session.sessionId]))
    const rest = (async () => {
      const got: SessionEvent[] = []
      for await (const event of events) got.push(event)
      return got
    })()
    other.start()
    onTestFinished(() => other.stop())
    expect((await rest).at(-1)).toMatchObject({ kind: 'SessionDeleted' })
    expect(reads).toBeLessThan(20)
  })

  test('ends at once, forbidden, for who left the session; the others see that they did', async () => {
    const [gone, stays] = [randomUUID(), randomUUID()]
    const [lost, kept] = [start(0, gone), start(0, stays)]
    await append(updated)
    await Promise.all([lost.next(), kept.next()])
    const waiting = lost.next()
    waiting.catch(() => undefined)
    await append({ kind: 'ParticipantLeft', subjectId: gone }, updated)
    await expect(waiting).rejects.toThrow(ForbiddenError)
    expect(await take(kept, 2)).toMatchObject([
      { kind: 'ParticipantLeft', subjectId: gone },
      { kind: 'SessionUpdated', seq: 3 },
    ])
  })

  test.each(['what is stored', 'what passes by'])(
    'shows nothing more to who left while they lag behind in %s',
    async (what) => {
      const gone = randomUUID()
      const events = start(0, gone)
      await append(updated)
      await events.next()
      if (what === 'what is stored') await append(updated, updated, updated)
      else
        for (const subjectId of [randomUUID(), randomUUID()])
          log.passBy(sessionEvent({ kind: 'TypingChanged', sessionId: session.sessionId, subjectId, isOn: true }))
      await events.next()
      await append({ kind: 'ParticipantLeft', subjectId: gone })
      await expect(events.next()).rejects.toThrow(ForbiddenError)
      expect((await events.next()).done).toBe(true)
    },
  )

  test('ends when its reader stops, at whatever it is, and leaves the log unfollowed', async () => {
    await append(updated)
    const controller = new AbortController()
    const events = follow(log, session.sessionId, { after: 0, viewerId: randomUUID(), signal: controller.signal })
    await events.next()
    const waiting = events.next()
    controller.abort()
    expect((await waiting).done).toBe(true)
    expect(log.followedSessions()).not.toContain(session.sessionId)

    const aborted = follow(log, session.sessionId, { after: 0, viewerId: randomUUID(), signal: controller.signal })
    expect((await aborted.next()).done).toBe(true)
    const broken = start(0)
    for await (const event of broken) {
      expect(event.seq).toBe(1)
      break
    }
    expect(log.followedSessions()).not.toContain(session.sessionId)
  })
})

describe('access that was lost between asking and listening', () => {
  let database: TestStorage
  beforeAll(async () => {
    database = await openTestStorage('sqlite')
  })
  afterAll(() => database.close())

  test('is noticed before anything is given', async () => {
    const log = new SessionLog(database.storage, new MemoryBus<Topics>())
    onTestFinished(() => log.stop())
    const session = await insertSession(database.storage)
    await database.storage.transaction((tx) => log.append(tx, session.sessionId, [updated]))
    const heard: string[] = []
    const events = follow(log, session.sessionId, {
      after: 0,
      viewerId: randomUUID(),
      authorize: async () => {
        heard.push(...log.followedSessions())
        throw new ForbiddenError('removed meanwhile')
      },
    })
    await expect(events.next()).rejects.toThrow('removed meanwhile')
    expect(heard).toEqual([session.sessionId])
    expect(log.followedSessions()).toEqual([])
  })
})

describe('a log that is stopped', () => {
  let database: TestStorage
  beforeAll(async () => {
    database = await openTestStorage('sqlite')
  })
  afterAll(() => database.close())

  test('ends those who follow it', async () => {
    const log = new SessionLog(database.storage, new MemoryBus<Topics>())
    const session = await insertSession(database.storage)
    await database.storage.transaction((tx) => log.append(tx, session.sessionId, [updated]))
    const events = follow(log, session.sessionId, { after: 0, viewerId: randomUUID() })
    await events.next()
    const waiting = events.next()
    log.stop()
    expect((await waiting).done).toBe(true)
    expect(log.followedSessions()).toEqual([])
  })
})
