import { setImmediate as turn } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { MemoryBus } from '../../server/bus/memoryBus.ts'
import { sessionEvent, type SessionEvent } from '../../server/log/event.ts'
import { SessionLog } from '../../server/log/sessionLog.ts'
import type { Storage } from '../../server/storage/storage.ts'
import type { Topics } from '../../server/topics.ts'
import { Group, type Renderer } from '../../server/websocket/group.ts'
import { insertMessage, insertSession } from '../support/rows.ts'
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

/** A group of one, who is live. */
async function newGroup({ storage = database.storage, renderer = plainly } = {}) {
  const log = new SessionLog(storage, new MemoryBus<Topics>())
  onTestFinished(() => log.stop())
  const session = await insertSession(database.storage)
  const outlet = newOutlet()
  const ends: string[] = []
  const group = new Group(log, session.sessionId, renderer, () => undefined)
  await group.join({
    viewerId: session.ownerId,
    after: null,
    outlet,
    authorize: async () => undefined,
    opening: '',
    closing: '',
    onEnd: (end) => void ends.push(end),
  })
  const typing = (isOn: boolean): void =>
    log.passBy(sessionEvent({ kind: 'TypingChanged', sessionId: session.sessionId, subjectId: 'bob', isOn }))
  return { log, session, outlet, ends, typing }
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
