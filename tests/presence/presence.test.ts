import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { MemoryBus } from '../../server/bus/memoryBus.ts'
import type { SessionEvent } from '../../server/log/event.ts'
import { SessionLog } from '../../server/log/sessionLog.ts'
import { Presence } from '../../server/presence/presence.ts'
import type { Topics } from '../../server/topics.ts'
import { insertParticipant, insertSession, insertUser } from '../support/rows.ts'
import { describeOnEach, type TestStorage } from '../support/storages.ts'

const immediate = setImmediate
const turn = () => new Promise((resolve) => immediate(resolve))

async function newPresence(database: TestStorage, bus = new MemoryBus<Topics>()) {
  const { storage } = database
  const log = new SessionLog(storage, bus)
  const errors: string[] = []
  const logger = { debug() {}, info() {}, warn() {}, error: (message: string) => void errors.push(message) }
  const presence = new Presence(storage, bus, log, logger, { leaveDelayMs: 2000, typingTimeoutMs: 5000 })
  await presence.start()
  onTestFinished(() => {
    presence.stop()
    log.stop()
    expect(errors).toEqual([])
  })
  /** What passes by in a session, in order. */
  const watch = async (sessionId: string) => {
    const passed: SessionEvent[] = []
    const follower = { wake() {}, passBy: (event: SessionEvent) => void passed.push(event), left() {}, end() {} }
    await log.attach(sessionId, follower)
    return passed
  }
  return { presence, log, watch }
}

const told = (events: readonly SessionEvent[]) => events.map(({ kind, subjectId, isOn }) => ({ kind, subjectId, isOn }))

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await turn()
}

describeOnEach('presence', (database) => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  test('is online with the first connection, and offline a while after the last one is closed', async () => {
    const { presence, watch } = await newPresence(database)
    const { sessionId, ownerId } = await insertSession(database.storage)
    const passed = await watch(sessionId)
    const [closeOne, closeTwo] = [presence.connected(ownerId), presence.connected(ownerId)]
    await until(() => passed.length === 1)
    expect(await presence.onlineAmong([ownerId, randomUUID()])).toEqual(new Set([ownerId]))
    closeOne()
    closeOne()
    vi.advanceTimersByTime(10_000)
    expect(await presence.onlineAmong([ownerId])).toEqual(new Set([ownerId]))
    closeTwo()
    vi.advanceTimersByTime(1999)
    expect(await presence.onlineAmong([ownerId])).toEqual(new Set([ownerId]))
    vi.advanceTimersByTime(1)
    expect(await presence.onlineAmong([ownerId])).toEqual(new Set())
    await until(() => passed.length === 2)
    expect(told(passed)).toEqual([
      { kind: 'PresenceChanged', subjectId: ownerId, isOn: true },
      { kind: 'PresenceChanged', subjectId: ownerId, isOn: false },
    ])
    expect(passed.map(({ seq, sessionId: of }) => [seq, of])).toEqual([
      [null, sessionId],
      [null, sessionId],
    ])
  })

  test('does not flicker when a page is loaded anew', async () => {
    const { presence, watch } = await newPresence(database)
    const { sessionId, ownerId } = await insertSession(database.storage)
    const passed = await watch(sessionId)
    const close = presence.connected(ownerId)
    await until(() => passed.length === 1)
    close()
    vi.advanceTimersByTime(1500)
    const closeAgain = presence.connected(ownerId)
    vi.advanceTimersByTime(10_000)
    expect(await presence.onlineAmong([ownerId])).toEqual(new Set([ownerId]))
    closeAgain()
    vi.advanceTimersByTime(2000)
    await until(() => passed.length > 1)
    expect(told(passed).map(({ isOn }) => isOn)).toEqual([true, false])
  })

  test('is told to the sessions that the person is in and that someone follows, and to no other', async () => {
    const { presence, watch } = await newPresence(database)
    const userId = await insertUser(database.storage)
    const [joined, strange] = [await insertSession(database.storage), await insertSession(database.storage)]
    const unfollowed = await insertSession(database.storage)
    for (const { sessionId } of [joined, unfollowed]) await insertParticipant(database.storage, { sessionId, userId })
    const [passed, passedStrange] = [await watch(joined.sessionId), await watch(strange.sessionId)]
    presence.connected(userId)
    await until(() => passed.length === 1)
    // behind it, as these are told in turn
    presence.connected(strange.ownerId)
    await until(() => passedStrange.length === 1)
    expect(told(passed)).toEqual([{ kind: 'PresenceChanged', subjectId: userId, isOn: true }])
    expect(told(passedStrange)).toEqual([{ kind: 'PresenceChanged', subjectId: strange.ownerId, isOn: true }])
  })

  test('ends with the newest news, however fast someone goes and comes', async () => {
    const { presence, watch } = await newPresence(database)
    const { sessionId, ownerId } = await insertSession(database.storage)
    const passed = await watch(sessionId)
    for (let time = 0; time < 20; time++) {
      const close = presence.connected(ownerId)
      close()
      vi.advanceTimersByTime(2000)
    }
    presence.connected(ownerId)
    await until(() => passed.length === 41)
    expect(passed.map(({ isOn }) => isOn)).toEqual(Array.from({ length: 41 }, (_, n) => n % 2 === 0))
  })

  test('stores when someone was last seen', async () => {
    const { presence, watch } = await newPresence(database)
    const { sessionId, ownerId } = await insertSession(database.storage)
    const passed = await watch(sessionId)
    presence.connected(ownerId)
    await until(() => passed.length === 1)
    const seen = async () =>
      (await database.storage.read.all(`SELECT last_seen_at AS "at" FROM users WHERE id = ?`, [ownerId]))[0]!.at
    while ((await seen()) === null) await turn()
    expect(new Date((await seen()) as number | Date).getTime()).toBeGreaterThan(Date.now() - 60_000)
  })

  test('says nothing after it was stopped', async () => {
    const { presence, watch } = await newPresence(database)
    const { sessionId, ownerId } = await insertSession(database.storage)
    const passed = await watch(sessionId)
    const close = presence.connected(ownerId)
    await until(() => passed.length === 1)
    close()
    presence.setTyping(sessionId, ownerId, true)
    presence.stop()
    vi.advanceTimersByTime(60_000)
    expect(vi.getTimerCount()).toBe(0)
    expect(passed.map(({ kind }) => kind)).toEqual(['PresenceChanged', 'TypingChanged'])
  })

  test('sets no timer for what ends or comes after it was stopped', async () => {
    const { presence, watch } = await newPresence(database)
    const { sessionId, ownerId } = await insertSession(database.storage)
    const passed = await watch(sessionId)
    const close = presence.connected(ownerId)
    await until(() => passed.length === 1)
    presence.stop()
    // the database's own among them
    const before = vi.getTimerCount()
    close()
    presence.setTyping(sessionId, ownerId, true)
    expect(vi.getTimerCount()).toBe(before)
    expect(passed).toHaveLength(1)
  })
})

describe('typing', () => {
  describeOnEach('somebody who types', (database) => {
    beforeEach(() => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    })
    afterEach(() => {
      vi.useRealTimers()
    })

    const newScene = async () => {
      const { presence, watch } = await newPresence(database)
      const { sessionId, ownerId } = await insertSession(database.storage)
      const passed = await watch(sessionId)
      const typing = () =>
        passed.map(({ kind, subjectId, isOn }) => (kind === 'TypingChanged' && subjectId === ownerId ? isOn : kind))
      return { presence, sessionId, ownerId, typing }
    }

    test('has stopped five seconds after they were last heard of', async () => {
      const { presence, sessionId, ownerId, typing } = await newScene()
      presence.setTyping(sessionId, ownerId, true)
      vi.advanceTimersByTime(4999)
      expect(typing()).toEqual([true])
      vi.advanceTimersByTime(1)
      expect(typing()).toEqual([true, false])
      vi.advanceTimersByTime(60_000)
      expect(typing()).toEqual([true, false])
    })

    test('types on where they say it again, which those hear too who came meanwhile', async () => {
      const { presence, sessionId, ownerId, typing } = await newScene()
      presence.setTyping(sessionId, ownerId, true)
      vi.advanceTimersByTime(4000)
      presence.setTyping(sessionId, ownerId, true)
      vi.advanceTimersByTime(4000)
      expect(typing()).toEqual([true, true])
      vi.advanceTimersByTime(1000)
      expect(typing()).toEqual([true, true, false])
    })

    test('stops at once where they say so, once', async () => {
      const { presence, sessionId, ownerId, typing } = await newScene()
      presence.setTyping(sessionId, ownerId, true)
      presence.setTyping(sessionId, ownerId, false)
      presence.setTyping(sessionId, ownerId, false)
      vi.advanceTimersByTime(60_000)
      expect(typing()).toEqual([true, false])
    })

    test('in two sessions types in each on its own', async () => {
      const { presence, sessionId, ownerId, typing } = await newScene()
      const other = await insertSession(database.storage)
      presence.setTyping(sessionId, ownerId, true)
      presence.setTyping(other.sessionId, ownerId, true)
      presence.setTyping(other.sessionId, ownerId, false)
      expect(typing()).toEqual([true])
      vi.advanceTimersByTime(5000)
      expect(typing()).toEqual([true, false])
    })
  })
})
