import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { DatabaseAwayError } from '../../server/storage/databaseAway.ts'
import { openPostgres } from '../../server/storage/postgres.ts'
import type { Sql, Storage } from '../../server/storage/storage.ts'
import { createDatabase } from '../support/postgres.ts'
import { startProxy, type Proxy } from '../support/proxy.ts'
import { insertSession } from '../support/rows.ts'

describe('PostgreSQL', () => {
  let directUrl: string
  let proxy: Proxy
  let storage: Storage
  let drop: () => Promise<void>
  beforeAll(async () => {
    const database = await createDatabase()
    drop = () => database.drop()
    directUrl = database.url
    const url = new URL(database.url)
    proxy = await startProxy({ port: Number(url.port) })
    url.port = String(proxy.port)
    storage = await openPostgres(url.href, 500)
  })
  afterAll(async () => {
    await storage.close()
    await proxy.stop()
    await drop()
  })

  /** Each of the ways to ask it something. */
  const ways: [string, (sql: string) => Promise<unknown>][] = [
    ['a read', (sql) => storage.read.all(sql)],
    [
      'a snapshot',
      (sql) =>
        storage.snapshot([
          { sql, params: [] },
          { sql: 'SELECT 1', params: [] },
        ]),
    ],
    ['a transaction', (sql) => storage.transaction((tx) => tx.all(sql))],
  ]

  test.each(ways)('%s on a connection that it ends says that it is away', async (_way, ask) => {
    await expect(ask('SELECT pg_terminate_backend(pg_backend_pid())')).rejects.toThrow(DatabaseAwayError)
    await expect(ask('SELECT 1 AS one')).resolves.toBeDefined()
  })

  test.each(ways)(
    '%s that it does not answer in time is given up, and what comes next does not wait behind it',
    async (_way, ask) => {
      await expect(ask('SELECT pg_sleep(60)')).rejects.toThrow(DatabaseAwayError)
      await expect(ask('SELECT 1 AS one')).resolves.toBeDefined()
    },
  )

  test.each(ways)('%s that is wrong is not taken for an absence', async (_way, ask) => {
    await expect(ask('SELECT nothing')).rejects.not.toThrow(DatabaseAwayError)
  })

  test.each(ways)('%s while nobody listens says that it is away, and works again afterwards', async (_way, ask) => {
    proxy.refuse()
    onTestFinished(() => proxy.accept())
    proxy.cutAll('rst')
    await expect(ask('SELECT 1')).rejects.toThrow(DatabaseAwayError)
    await expect(storage.check()).rejects.toThrow(DatabaseAwayError)
    await expect(storage.appendDeltas([])).rejects.toThrow(DatabaseAwayError)
    await proxy.accept()
    await expect(ask('SELECT 1')).resolves.toBeDefined()
  })

  test('does not keep the locks of a transaction whose connection is open at its own end only', async () => {
    const other = await openPostgres(directUrl, 30_000)
    onTestFinished(() => other.close())
    const { ownerId } = await insertSession(other)
    const rename = (tx: Sql, name: string) => tx.run('UPDATE users SET name = ? WHERE id = ?', [name, ownerId])
    const cut = storage.transaction(async (tx) => {
      await rename(tx, 'lost')
      expect(proxy.cutAll('half-open')).toBeGreaterThan(0)
      await tx.all('SELECT 1')
    })
    await expect(cut).rejects.toThrow(DatabaseAwayError)
    await other.transaction((tx) => rename(tx, 'kept'))
    expect(await other.read.all('SELECT name FROM users WHERE id = ?', [ownerId])).toEqual([{ name: 'kept' }])
  })
})
