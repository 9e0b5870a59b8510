import { expect, test } from 'vitest'
import { MemoryBus } from '../../server/bus/memoryBus.ts'
import { SessionLog } from '../../server/log/sessionLog.ts'
import type { Topics } from '../../server/topics.ts'
import { insertSession, insertUser } from '../support/rows.ts'
import { describeOnEach, openTestStorage } from '../support/storages.ts'

describeOnEach('transactions that are asked for at the same time', (database) => {
  test('are undone one by one: what fails takes no other with it', async () => {
    const { storage } = database
    const ids = await Promise.all(Array.from({ length: 6 }, (_, n) => insertUser(storage, `before ${n}`)))
    const committed: number[] = []
    const results = await Promise.allSettled(
      ids.map((id, n) =>
        storage.transaction(async (tx) => {
          tx.afterCommit(() => committed.push(n))
          await tx.run('UPDATE users SET name = ? WHERE id = ?', [`after ${n}`, id])
          if (n % 3 === 1) throw new Error(`not ${n}`)
          return n
        }),
      ),
    )
    expect(results.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.message))).toEqual([
      0,
      'not 1',
      2,
      3,
      'not 4',
      5,
    ])
    expect(new Set(committed)).toEqual(new Set([0, 2, 3, 5]))
    const names = await Promise.all(ids.map((id) => storage.read.all('SELECT name FROM users WHERE id = ?', [id])))
    expect(names.map(([row]) => row?.name)).toEqual(ids.map((_, n) => (n % 3 === 1 ? `before ${n}` : `after ${n}`)))
  })
})

test('On SQLite they are committed together, and the first is told once all are stored', async () => {
  const database = await openTestStorage('sqlite')
  try {
    const { storage } = database
    const ids = await Promise.all(Array.from({ length: 8 }, () => insertUser(storage, 'before')))
    const stored: Promise<unknown>[] = []
    await Promise.all(
      ids.map((id) =>
        storage.transaction(async (tx) => {
          tx.afterCommit(() => stored.push(storage.read.all(`SELECT id FROM users WHERE name = 'after'`)))
          await tx.run(`UPDATE users SET name = 'after' WHERE id = ?`, [id])
        }),
      ),
    )
    expect((await Promise.all(stored)).map((rows) => (rows as unknown[]).length)).toEqual(ids.map(() => 8))
  } finally {
    await database.close()
  }
})

test('On SQLite a failure that undoes all of them is told to all, and the next one is stored', async () => {
  const database = await openTestStorage('sqlite')
  try {
    const { storage } = database
    const ids = await Promise.all(Array.from({ length: 3 }, () => insertUser(storage, 'before')))
    await storage.transaction((tx) =>
      tx.run(
        `CREATE TRIGGER full BEFORE UPDATE ON users WHEN NEW.name = 'too much' BEGIN SELECT RAISE(ROLLBACK, 'full'); END`,
      ),
    )
    const rename = (id: string, name: string) =>
      storage.transaction((tx) => tx.run('UPDATE users SET name = ? WHERE id = ?', [name, id]))
    const results = await Promise.allSettled([
      rename(ids[0]!, 'after'),
      rename(ids[1]!, 'too much'),
      rename(ids[2]!, 'after'),
    ])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    expect(await storage.read.all(`SELECT name FROM users WHERE name <> 'before'`)).toEqual([])
    expect(await rename(ids[0]!, 'after')).toBe(1)
  } finally {
    await database.close()
  }
})

test('On SQLite what one does after the commit harms no other where it fails', async () => {
  const database = await openTestStorage('sqlite')
  try {
    const { storage } = database
    const told: number[] = []
    const results = await Promise.allSettled(
      [0, 1, 2].map((n) =>
        storage.transaction(async (tx) => {
          tx.afterCommit(() => {
            if (n === 1) throw new Error('not told')
            told.push(n)
          })
          return n
        }),
      ),
    )
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(told).toEqual([0, 2])
  } finally {
    await database.close()
  }
})

test('On SQLite a commit that fails is told to all who were in it, and nothing of them is stored or seen', async () => {
  const database = await openTestStorage('sqlite')
  try {
    const { storage } = database
    const ids = await Promise.all(Array.from({ length: 3 }, () => insertUser(storage, 'before')))
    await storage.transaction(async (tx) => {
      await tx.run('CREATE TABLE notes (user_id TEXT REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED)')
    })
    const told: number[] = []
    const rename = (n: number) =>
      storage.transaction(async (tx) => {
        tx.afterCommit(() => told.push(n))
        await tx.run(`UPDATE users SET name = 'after' WHERE id = ?`, [ids[n]!])
        // found out by the commit
        if (n === 1) await tx.run(`INSERT INTO notes (user_id) VALUES ('nobody')`)
      })
    const results = await Promise.allSettled([rename(0), rename(1), rename(2)])
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    expect(told).toEqual([])
    expect(await storage.read.all(`SELECT name FROM users WHERE name = 'after'`)).toEqual([])
    await rename(2)
    expect(told).toEqual([2])
  } finally {
    await database.close()
  }
})

test('On SQLite a number that was counted and undone is given to the next, and none is left out', async () => {
  const database = await openTestStorage('sqlite')
  try {
    const { storage } = database
    const bus = new MemoryBus<Topics>()
    const log = new SessionLog(storage, bus)
    const { sessionId } = await insertSession(storage)
    const told: (number | null)[] = []
    await bus.subscribe('session', sessionId, (events) => void told.push(...events.map(({ seq }) => seq)))
    const [before] = await storage.read.all<{ seq: number }>(
      'SELECT last_seq AS seq FROM session_logs WHERE session_id = ?',
      [sessionId],
    )
    await Promise.allSettled(
      Array.from({ length: 9 }, (_, n) =>
        storage.transaction(async (tx) => {
          await log.append(tx, sessionId, [{ kind: 'SessionUpdated' }, { kind: 'SessionUpdated' }])
          if (n % 3 === 1) throw new Error('not stored')
        }),
      ),
    )
    expect(told).toEqual(Array.from({ length: 12 }, (_, n) => before!.seq + 1 + n))
    expect(await storage.read.all('SELECT count(*) AS count FROM session_events WHERE seq > ?', [before!.seq])).toEqual(
      [{ count: 12 }],
    )
  } finally {
    await database.close()
  }
})

test('On SQLite all that waits is told where the database is closed', async () => {
  const database = await openTestStorage('sqlite')
  const { storage } = database
  const started = Promise.withResolvers<void>()
  const { promise: closed, resolve: close } = Promise.withResolvers<void>()
  const running = storage.transaction(async (tx) => {
    started.resolve()
    await closed
    await tx.all('SELECT 1')
  })
  const all = Promise.allSettled([
    running,
    // more than are committed together, and some that come once those are under way
    ...Array.from({ length: 100 }, () => storage.transaction((tx) => tx.all('SELECT 1'))),
    started.promise.then(() => storage.transaction((tx) => tx.all('SELECT 1'))),
    started.promise.then(() => storage.appendDeltas([])),
  ])
  await started.promise
  await database.close()
  close()
  expect(new Set((await all).map(({ status }) => status))).toEqual(new Set(['rejected']))
})
