import { expect, test } from 'vitest'
import { insertUser } from '../support/rows.ts'
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
    expect(committed).toEqual([0, 2, 3, 5])
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
