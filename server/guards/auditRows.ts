import { randomUUIDv7 } from 'node:crypto'
import { limited, type AuditRow } from '../storage/rows.ts'
import type { Param, Storage, Tx } from '../storage/storage.ts'

/** An id for an entry of now, and the time that stands in it. */
export function auditId(): { id: string; createdAt: Date } {
  const id = randomUUIDv7()
  return { id, createdAt: new Date(parseInt(id.slice(0, 8) + id.slice(9, 13), 16)) }
}

/** Where the entries of a moment begin, among all ids. */
export function firstAuditId(time: Date): string {
  const hex = Math.max(time.getTime(), 0).toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-0000-0000-000000000000`
}

const columns =
  'id, user_id, address, request_id, action, session_id, subject_id, error_code, duration_ms, times, created_at'

const valuesOf = (row: AuditRow): Param[] => [
  row.id,
  row.userId,
  row.address,
  row.requestId,
  row.action,
  row.sessionId,
  row.subjectId,
  row.errorCode,
  row.durationMs,
  row.times,
  row.createdAt,
]

/** Statements of few sizes, so that each text is prepared once. */
const sizes = [64, 8, 1]

/** Stores entries in one transaction; those that are there already stay, since a write may be repeated. */
export function insertAuditRows(storage: Storage, rows: readonly AuditRow[]): Promise<void> {
  return storage.transaction(async (tx) => {
    for (let start = 0; start < rows.length;) {
      const size = sizes.find((one) => one <= rows.length - start)!
      await insertSome(tx, rows.slice(start, start + size))
      start += size
    }
  })
}

async function insertSome(tx: Tx, rows: readonly AuditRow[]): Promise<void> {
  const places = `(${columns.replaceAll(/\w+/g, '?')})`
  await tx.run(
    `INSERT INTO audit_entries (${columns}) VALUES ${rows.map(() => places).join(', ')} ON CONFLICT (id) DO NOTHING`,
    rows.flatMap(valuesOf),
  )
}

const prunedAtOnce = 1_000
const pauseMs = 20

/**
 * Deletes the entries from before a moment, some at a time, so that nobody waits long for it.
 * @returns how many
 */
export async function pruneAuditRows(storage: Storage, before: Date, signal: AbortSignal): Promise<number> {
  let count = 0
  const first = firstAuditId(before)
  const isOld = (): Promise<object[]> =>
    storage.read.all(`SELECT id FROM audit_entries WHERE id < ? ORDER BY id LIMIT 1`, [first])
  while (!signal.aborted && (await isOld()).length > 0) {
    const pruned = await storage.transaction((tx) =>
      tx.run(
        // in one order, so that two nodes that prune at once wait for each other and don't lock each other out
        `DELETE FROM audit_entries WHERE id IN (
           SELECT id FROM audit_entries WHERE id < ? ORDER BY id ${limited} ${storage.dialect.forUpdate})`,
        [first, prunedAtOnce],
      ),
    )
    count += pruned
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
  return count
}
