import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { MemoryBus } from '../../server/bus/memoryBus.ts'
import { follow } from '../../server/log/follow.ts'
import { SessionLog } from '../../server/log/sessionLog.ts'
import type { Storage } from '../../server/storage/storage.ts'
import type { Topics } from '../../server/topics.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { openSocket, signIn } from '../support/clients.ts'
import { createSession } from '../support/operations.ts'
import { insertSession } from '../support/rows.ts'
import { describeOnEach } from '../support/storages.ts'

const updated = { kind: 'SessionUpdated' } as const

const append = (storage: Storage, log: SessionLog, sessionId: string, count: number) =>
  storage.transaction((tx) =>
    log.append(
      tx,
      sessionId,
      Array.from({ length: count }, () => updated),
    ),
  )

/** As whoever keeps a database small might do it. */
const cut = (storage: Storage, sessionId: string, upTo: number) =>
  storage.transaction((tx) =>
    tx.run(
      `DELETE FROM session_events WHERE seq <= ? AND log_id = (SELECT log_id FROM session_logs WHERE session_id = ?)`,
      [upTo, sessionId],
    ),
  )

describeOnEach('a log that was cut', (database) => {
  const stops: (() => unknown)[] = []
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop()
  })

  async function start(upTo: number) {
    const log = new SessionLog(database.storage, new MemoryBus<Topics>())
    const { sessionId } = await insertSession(database.storage)
    await append(database.storage, log, sessionId, 5)
    await cut(database.storage, sessionId, upTo)
    stops.push(() => log.stop())
    return {
      add: () => append(database.storage, log, sessionId, 1),
      from(after: number) {
        const controller = new AbortController()
        const events = follow(log, sessionId, { after, viewerId: randomUUID(), signal: controller.signal })
        stops.push(() => (controller.abort(), events.return()))
        return events
      },
    }
  }

  test.each([
    ['in part', 3, 1],
    ['whole', 5, 4],
  ])('%s gives Resync to who comes from before that, then what comes', async (_how, upTo, after) => {
    const { from, add } = await start(upTo)
    const events = from(after)
    expect((await events.next()).value).toMatchObject({ kind: 'Resync', seq: null, lastSeq: 5 })
    const next = events.next()
    await add()
    expect((await next).value).toMatchObject({ kind: 'SessionUpdated', seq: 6 })
  })

  test('goes on as ever from where it still reaches back to', async () => {
    const { from } = await start(3)
    const events = from(3)
    expect((await events.next()).value).toMatchObject({ kind: 'SessionUpdated', seq: 4 })
    expect((await events.next()).value).toMatchObject({ kind: 'SessionUpdated', seq: 5 })
  })
})

describe('a follower over WebSocket', () => {
  let app: TestApp
  beforeAll(async () => {
    app = await startApp()
  })
  afterAll(() => app.stop())

  test('from before where a log was cut gets Resync, then what comes', async () => {
    const ada = await signIn(app)
    const sessionId = await createSession(app, ada)
    const { storage, log } = app.services
    await append(storage, log, sessionId, 5)
    await cut(storage, sessionId, 3)
    const socket = await openSocket(app, { token: ada.token })
    const query = `subscription ($id: ID!) {
      sessionEvents(sessionId: $id, after: 1) { __typename seq ... on Resync { lastSeq } } }`
    socket.subscribe('1', query, { id: sessionId })
    expect((await socket.nextOf('1')).payload).toEqual({
      data: { sessionEvents: { __typename: 'Resync', seq: null, lastSeq: 5 } },
    })
    await append(storage, log, sessionId, 1)
    expect((await socket.nextOf('1')).payload).toEqual({
      data: { sessionEvents: { __typename: 'SessionUpdated', seq: 6 } },
    })
    await socket.close()
  })
})
