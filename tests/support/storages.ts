import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe } from 'vitest'
import { readConfig, type Config } from '../../server/config/config.ts'
import { openStorage } from '../../server/storage/openStorage.ts'
import type { Storage } from '../../server/storage/storage.ts'
import { createDatabase } from './postgres.ts'

export const storageKinds = ['sqlite', 'postgres'] as const
export type StorageKind = (typeof storageKinds)[number]

export interface TestStorage {
  readonly kind: StorageKind
  /** As DATABASE_URL takes it. */
  readonly url: string
  /** The migrated database. */
  readonly storage: Storage
  /** Closes the database and opens it again, as a server that was started anew. */
  reopen(): Promise<Storage>
  /** Closes and deletes it. */
  close(): Promise<void>
}

export const configFor = (url: string, env: Record<string, string> = {}): Config =>
  // where a test turns the clock, an answer of PostgreSQL would seem to have taken for ever
  readConfig({ DATABASE_URL: url, DATABASE_TIMEOUT_MS: '0', LOG_LEVEL: 'silent', ...env })

/** An empty place for a database of a kind, and what deletes it. */
export async function placeFor(kind: StorageKind): Promise<{ url: string; remove(): Promise<void> }> {
  if (kind === 'postgres') {
    const database = await createDatabase()
    return { url: database.url, remove: () => database.drop() }
  }
  const folder = await mkdtemp(join(tmpdir(), 'parley-test-'))
  return {
    url: `sqlite:${join(folder, 'parley.db')}`,
    remove: () => rm(folder, { recursive: true, force: true }),
  }
}

/** A fresh database of a kind, with the newest schema. */
export async function openTestStorage(kind: StorageKind): Promise<TestStorage> {
  const { url, remove } = await placeFor(kind)
  const config = configFor(url)
  let storage = await openStorage(config)
  return {
    kind,
    url,
    get storage() {
      return storage
    },
    async reopen() {
      await storage.close()
      storage = await openStorage(config)
      return storage
    },
    async close() {
      await storage.close()
      await remove()
    },
  }
}

/** Calls a suite once for each kind of database, each time with a fresh one, which is gone when the suite is over. */
export function describeOnEach(subject: string, suite: (database: TestStorage) => void): void {
  describe.each(storageKinds)(`${subject} on %s`, (kind) => {
    let opened: TestStorage
    beforeAll(async () => {
      opened = await openTestStorage(kind)
    })
    afterAll(() => opened?.close())
    suite({
      kind,
      get url() {
        return opened.url
      },
      get storage() {
        return opened.storage
      },
      reopen: () => opened.reopen(),
      close: () => opened.close(),
    })
  })
}
