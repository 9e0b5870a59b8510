import type { OutboxStorage } from './outboxStorage.ts'
import type { Unsent } from './outbox.ts'

/** As much of IndexedDB as is used here, so that the library's types need no DOM. */
interface Pending<T> {
  result: T
  error: unknown
  onsuccess: (() => void) | null
  onerror: (() => void) | null
  onupgradeneeded?: (() => void) | null
}
interface ObjectStore {
  getAll(): Pending<unknown[]>
  put(value: unknown): unknown
  delete(key: string): unknown
}
interface Transaction {
  objectStore(name: string): ObjectStore
  error: unknown
  oncomplete: (() => void) | null
  onerror: (() => void) | null
  onabort: (() => void) | null
}
interface Database {
  createObjectStore(name: string, options: { keyPath: string }): unknown
  transaction(name: string, mode: 'readonly' | 'readwrite'): Transaction
  close(): void
}
interface Factory {
  open(name: string, version: number): Pending<Database>
}

const storeName = 'unsent'

export function hasIndexedDb(): boolean {
  return factory() !== undefined
}

/** Keeps an outbox in the browser, in the database whose name is given; all tabs of a site share it. */
export function indexedDbStorage(nameOf: () => Promise<string>): OutboxStorage {
  async function inStore<T>(mode: 'readonly' | 'readwrite', work: (store: ObjectStore) => T): Promise<T> {
    const database = await open(await nameOf())
    try {
      return await new Promise<T>((resolve, reject) => {
        const transaction = database.transaction(storeName, mode)
        const result = work(transaction.objectStore(storeName))
        transaction.oncomplete = () => resolve(result)
        transaction.onerror = transaction.onabort = () => reject(transaction.error)
      })
    } finally {
      database.close()
    }
  }

  return {
    async load() {
      const { result } = await inStore('readonly', (store) => store.getAll())
      return (result as Unsent[]).sort((a, b) => (a.createdAt < b.createdAt ? -1 : a.createdAt > b.createdAt ? 1 : 0))
    },
    async put(message) {
      await inStore('readwrite', (store) => void store.put(message))
    },
    async remove(id) {
      await inStore('readwrite', (store) => void store.delete(id))
    },
  }
}

function open(name: string): Promise<Database> {
  return new Promise((resolve, reject) => {
    const request = factory()!.open(name, 1)
    request.onupgradeneeded = () => request.result.createObjectStore(storeName, { keyPath: 'id' })
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

function factory(): Factory | undefined {
  return (globalThis as unknown as { indexedDB?: Factory }).indexedDB
}
