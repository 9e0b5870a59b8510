import { randomUUID } from 'node:crypto'
import { beforeAll, expect, test } from 'vitest'
import { MemoryBus } from '../../server/bus/memoryBus.ts'
import { NotFoundError } from '../../server/errors.ts'
import { eventKinds, type SessionEvent } from '../../server/log/event.ts'
import { SessionLog } from '../../server/log/sessionLog.ts'
import type { Topics } from '../../server/topics.ts'
import { insertMessage, insertSession, insertUser } from '../support/rows.ts'
import { describeOnEach } from '../support/storages.ts'
import { readAll } from './followed.ts'

describeOnEach('appending to the log', (database) => {
  let bus: MemoryBus<Topics>
  let log: SessionLog

  beforeAll(() => {
    bus = new MemoryBus<Topics>()
    log = new SessionLog(database.storage, bus)
  })

  test('gives every event the next seq, from 1 on, and returns what is stored', async () => {
    const session = await insertSession(database.storage)
    const userId = await insertUser(database.storage)
    const { id: messageId, seq: messageSeq } = await insertMessage(database.storage, log, session)
    const events = await database.storage.transaction((tx) =>
      log.append(tx, session.sessionId, [
        { kind: 'ParticipantJoined', subjectId: userId, role: 'VIEWER' },
        { kind: 'MessageDelta', delta: { messageId, messageSeq, offset: 7, text: 'text 😀' } },
        { kind: 'GenerationEnded', subjectId: messageId },
        { kind: 'SessionUpdated' },
      ]),
    )
    expect([messageSeq, ...events.map(({ seq }) => seq)]).toEqual([1, 2, 3, 4, 5])
    expect((await readAll(database.storage, session)).slice(1)).toEqual(events)
    expect(events[0]).toMatchObject({ role: 'VIEWER', subjectId: userId, text: '', messageId: null })
    expect(events[1]).toMatchObject({ role: null, subjectId: null, text: 'text 😀', offset: 7, messageId })
  })

  test('can hold every kind of event', async () => {
    const session = await insertSession(database.storage)
    const kinds = eventKinds.filter((kind) => kind !== 'MessageDelta')
    await database.storage.transaction((tx) =>
      log.append(
        tx,
        session.sessionId,
        kinds.map((kind) => ({ kind })),
      ),
    )
    expect((await readAll(database.storage, session)).map(({ kind }) => kind)).toEqual(kinds)
  })

  test('of a session that does not exist is refused as not found', async () => {
    const appending = database.storage.transaction((tx) => log.append(tx, randomUUID(), [{ kind: 'SessionUpdated' }]))
    await expect(appending).rejects.toThrow(NotFoundError)
  })

  test('publishes what is committed, once it can be read, and nothing of what is rolled back', async () => {
    const session = await insertSession(database.storage)
    const published: SessionEvent[] = []
    let readable: Promise<SessionEvent[]> | undefined
    const unsubscribe = await bus.subscribe('session', session.sessionId, (events) => {
      published.push(...events)
      readable = readAll(database.storage, session)
    })
    const events = await database.storage.transaction(async (tx) => {
      const appended = await log.append(tx, session.sessionId, [{ kind: 'SessionUpdated' }])
      expect(published).toEqual([])
      return appended
    })
    expect(published).toEqual(events)
    expect(await readable).toEqual(events)
    const failing = database.storage.transaction(async (tx) => {
      await log.append(tx, session.sessionId, [{ kind: 'SessionUpdated' }])
      throw new Error('not today')
    })
    await expect(failing).rejects.toThrow('not today')
    expect(published).toEqual(events)
    const [next] = await database.storage.transaction((tx) =>
      log.append(tx, session.sessionId, [{ kind: 'SessionUpdated' }]),
    )
    unsubscribe()
    expect(next!.seq).toBe(events[0]!.seq! + 1)
  })

  test('by twenty transactions at once leaves no hole, keeps each together, and commits in the order of seq', async () => {
    const session = await insertSession(database.storage)
    const subjects = Array.from({ length: 20 }, () => randomUUID())
    const highest: number[] = []
    await Promise.all(
      subjects.map((subjectId, n) =>
        database.storage.transaction(async (tx) => {
          const drafts = Array.from({ length: 1 + (n % 3) }, () => ({ kind: 'MessageUpdated' as const, subjectId }))
          const events = await log.append(tx, session.sessionId, drafts)
          // nothing that was numbered before may be uncommitted when this commits
          const [row] = await tx.all<{ n: number | string }>(
            'SELECT count(*) AS n FROM session_events WHERE log_id = ?',
            [session.logId],
          )
          highest.push(Number(row!.n) - events.at(-1)!.seq!)
        }),
      ),
    )
    const events = await readAll(database.storage, session)
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
    expect(highest).toEqual(subjects.map(() => 0))
    const runs = events.filter(({ subjectId }, index) => subjectId !== events[index - 1]?.subjectId)
    expect(runs).toHaveLength(subjects.length)
    expect(new Set(runs.map(({ subjectId }) => subjectId))).toEqual(new Set(subjects))
  })
})
