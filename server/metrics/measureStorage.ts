import { ParleyError } from '../errors.ts'
import type { Storage } from '../storage/storage.ts'
import type { Metrics } from './metrics.ts'

/** The same storage, with the time of each call counted. What is called inside a transaction is part of it. */
export function measureStorage(storage: Storage, metrics: Metrics): Storage {
  const measured = <T>(kind: string, work: () => Promise<T>): Promise<T> => {
    const startedAt = performance.now()
    const result = work()
    // beside whoever awaits the result, who waits no longer for it
    result.then(
      () => metrics.storageDone(kind, performance.now() - startedAt),
      (error: unknown) => {
        metrics.storageDone(kind, performance.now() - startedAt)
        // a refusal inside a transaction is nothing that the database did
        if (!(error instanceof ParleyError)) metrics.storageFailed(kind)
      },
    )
    return result
  }
  return {
    ...storage,
    read: {
      all: (sql, params) => measured('read', () => storage.read.all(sql, params)),
      run: (sql, params) => measured('read', () => storage.read.run(sql, params)),
    },
    snapshot: (statements) => measured('snapshot', () => storage.snapshot(statements)),
    transaction: (work) => measured('transaction', () => storage.transaction(work)),
    appendDeltas: (rows) => measured('deltas', () => storage.appendDeltas(rows)),
    readEvents: (logId, after, limit) => measured('read', () => storage.readEvents(logId, after, limit)),
    check: () => measured('check', () => storage.check()),
  }
}
