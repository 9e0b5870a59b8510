import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { UserEntity } from '../../server/entities/user.ts'
import { isUniqueViolation, type Param, type Statement, type Tx } from '../../server/storage/storage.ts'
import { insertSession, insertUser } from '../support/rows.ts'
import { describeOnEach, type TestStorage } from '../support/storages.ts'

const statement = (sql: string, params: Param[] = []): Statement => ({ sql, params })
const nameOf = async ({ storage }: TestStorage, id: string): Promise<unknown> =>
  (await storage.read.all('SELECT name FROM users WHERE id = ?', [id]))[0]?.name
const rename = (tx: Tx, id: string, name: string) => tx.run('UPDATE users SET name = ? WHERE id = ?', [name, id])
const newUser = (of: object = {}) => {
  const id = randomUUID()
  return {
    id,
    subject: id,
    name: 'Ada',
    isNameChosen: false,
    isAdmin: false,
    createdAt: new Date(),
    lastSeenAt: null,
    ...of,
  }
}

describeOnEach('a transaction', (database) => {
  test('commits entities and SQL together, and each sees the other before', async () => {
    const [bySql, byEntity] = [await insertUser(database.storage), newUser()]
    const found = await database.storage.transaction(async (tx) => {
      await rename(tx, bySql, 'Grace')
      tx.em.persist(tx.em.create(UserEntity, byEntity))
      await tx.em.flush()
      const [row] = await tx.all('SELECT name FROM users WHERE id = ?', [byEntity.id])
      return [row?.name, (await tx.em.findOneOrFail(UserEntity, bySql)).name]
    })
    expect(found).toEqual(['Ada', 'Grace'])
    expect([await nameOf(database, bySql), await nameOf(database, byEntity.id)]).toEqual(['Grace', 'Ada'])
  })

  test('flushes entities by itself before it commits', async () => {
    const user = newUser()
    await database.storage.transaction(async (tx) => void tx.em.persist(tx.em.create(UserEntity, user)))
    expect(await nameOf(database, user.id)).toBe('Ada')
  })

  test('rolls entities and SQL back together, with the error that was thrown', async () => {
    const [bySql, byEntity] = [await insertUser(database.storage, 'before'), newUser()]
    const error = new Error('not today')
    const failed = database.storage.transaction(async (tx) => {
      await rename(tx, bySql, 'after')
      tx.em.persist(tx.em.create(UserEntity, byEntity))
      await tx.em.flush()
      throw error
    })
    await expect(failed).rejects.toBe(error)
    expect([await nameOf(database, bySql), await nameOf(database, byEntity.id)]).toEqual(['before', undefined])
  })

  test('is not seen by others before it commits', async () => {
    const id = await insertUser(database.storage, 'before')
    const seen = await database.storage.transaction(async (tx) => {
      await rename(tx, id, 'after')
      return nameOf(database, id)
    })
    expect([seen, await nameOf(database, id)]).toEqual(['before', 'after'])
  })

  test('calls what is to run after the commit in order, once all can read it, and not after a rollback', async () => {
    const id = await insertUser(database.storage, 'before')
    const calls: string[] = []
    let readAfter: Promise<unknown> | undefined
    await database.storage.transaction(async (tx) => {
      tx.afterCommit(() => {
        calls.push('first')
        readAfter = nameOf(database, id)
      })
      tx.afterCommit(() => calls.push('second'))
      await rename(tx, id, 'after')
      expect(calls).toEqual([])
    })
    expect(calls).toEqual(['first', 'second'])
    expect(await readAfter).toBe('after')
    const failed = database.storage.transaction(async (tx) => {
      tx.afterCommit(() => calls.push('never'))
      await tx.run('INSERT INTO users (id) VALUES (?)', [randomUUID()])
    })
    await expect(failed).rejects.toThrow(/null/i)
    expect(calls).toEqual(['first', 'second'])
  })

  test('excludes others that change the same rows: of forty counts none is lost', async () => {
    const { logId } = await insertSession(database.storage)
    const { dialect } = database.storage
    const count = () =>
      database.storage.transaction(async (tx) => {
        const sql = `SELECT last_seq AS "lastSeq" FROM session_logs WHERE log_id = ? ${dialect.forUpdate}`
        const [row] = await tx.all<{ lastSeq: number }>(sql, [logId])
        await tx.run('UPDATE session_logs SET last_seq = ? WHERE log_id = ?', [row!.lastSeq + 1, logId])
      })
    await Promise.all(Array.from({ length: 40 }, count))
    expect(await database.storage.read.all('SELECT last_seq AS n FROM session_logs WHERE log_id = ?', [logId])).toEqual(
      [{ n: 40 }],
    )
  })

  test('whose connection can no longer be rolled back gives it back all the same, and tells of the first error', async () => {
    const id = await insertUser(database.storage, 'before')
    const breaking = async (): Promise<unknown> =>
      database.storage
        .transaction(async (tx) => {
          await rename(tx, id, 'after')
          // as the database does by itself on a full disk, and when it goes away
          if (database.kind === 'sqlite') {
            await tx.run('ROLLBACK')
            throw new Error('terminating connection')
          }
          await tx.run('SELECT pg_terminate_backend(pg_backend_pid())')
        })
        .catch((error: unknown) => (error as Error).message)
    // more than there are connections
    for (let time = 0; time < 25; time++)
      expect(await breaking()).toMatch(/terminating connection|Connection terminated/)
    await database.storage.transaction((tx) => rename(tx, id, 'at last'))
    expect(await nameOf(database, id)).toBe('at last')
  })

  test('that meets a unique constraint says so, by SQL and by entity', async () => {
    const id = await insertUser(database.storage)
    const errors = [
      await database.storage
        .transaction((tx) =>
          tx.run(`INSERT INTO users (id, subject, name, is_admin, created_at) VALUES (?, 'x', '', ?, ?)`, [
            id,
            false,
            new Date(),
          ]),
        )
        .catch((error: unknown) => error),
      await database.storage
        .transaction(async (tx) => void tx.em.persist(tx.em.create(UserEntity, newUser({ subject: id }))))
        .catch((error: unknown) => error),
      await database.storage
        .transaction((tx) => tx.run('INSERT INTO users (id) VALUES (?)', [randomUUID()]))
        .catch((error: unknown) => error),
    ]
    expect(errors.map(isUniqueViolation)).toEqual([true, true, false])
  })
})

describeOnEach('reading', (database) => {
  test('a snapshot sees one moment, while others write', async () => {
    const [one, two] = [await insertUser(database.storage, '0'), await insertUser(database.storage, '0')]
    let isOver = false
    let writes = 0
    const writer = (async () => {
      while (!isOver) {
        writes++
        await database.storage.transaction(async (tx) => {
          await rename(tx, one, String(writes))
          await rename(tx, two, String(writes))
        })
        await new Promise((resolve) => setImmediate(resolve))
      }
    })()
    const select = 'SELECT name FROM users WHERE id = ?'
    const seen = new Set<unknown>()
    for (let time = 0; time < 300 || seen.size < 5; time++) {
      const [[first], [second]] = (await database.storage.snapshot([
        statement(select, [one]),
        statement(select, [two]),
      ])) as [[{ name: unknown }], [{ name: unknown }]]
      expect(second).toEqual(first)
      seen.add(first.name)
      await new Promise((resolve) => setImmediate(resolve))
    }
    isOver = true
    await writer
    expect(seen.size).toBeGreaterThanOrEqual(5)
  })

  test('a snapshot of one statement and of none work too', async () => {
    const id = await insertUser(database.storage, 'Ada')
    expect(await database.storage.snapshot([statement('SELECT name FROM users WHERE id = ?', [id])])).toEqual([
      [{ name: 'Ada' }],
    ])
    expect(await database.storage.snapshot([])).toEqual([])
  })

  test('a snapshot that fails leaves a database that works', async () => {
    const failing = database.storage.snapshot([statement('SELECT 1'), statement('SELECT * FROM nowhere')])
    await expect(failing).rejects.toThrow('nowhere')
    await expect(database.storage.check()).resolves.toBeUndefined()
  })

  test('what the dialect says differently means the same', async () => {
    const { dialect, read } = database.storage
    const ids = [await insertUser(database.storage, 'ÄRGER 漢😀'), await insertUser(database.storage, 'Bob')]
    const among = (list: string[], where: string, params: Param[] = []) =>
      read.all(`SELECT name FROM users WHERE ${dialect.isIn('id')} AND ${where}`, [dialect.list(list), ...params])
    expect(await among(ids, '1 = 1')).toHaveLength(2)
    expect(await among(ids.slice(0, 1), '1 = 1')).toEqual([{ name: 'ÄRGER 漢😀' }])
    expect(await among([], '1 = 1')).toEqual([])
    expect(await among(ids, dialect.containsFolded('name'), ['ärger'])).toEqual([{ name: 'ÄRGER 漢😀' }])
    expect(await among(ids, dialect.containsFolded('name'), ['%'])).toEqual([])
    const { logId } = await insertSession(database.storage)
    expect(
      await read.all(`SELECT log_id AS "logId" FROM session_logs WHERE ${dialect.isIn('log_id')}`, [
        dialect.list([logId, 2_000_000_000]),
      ]),
    ).toEqual([{ logId }])
    const [row] = await read.all(
      `SELECT ${dialect.concatenate('name', 'length(name) DESC')} AS names FROM users WHERE ${dialect.isIn('id')}`,
      [dialect.list(ids)],
    )
    expect(row).toEqual({ names: 'ÄRGER 漢😀Bob' })
  })
})
