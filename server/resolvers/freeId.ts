import { ConflictError } from '../errors.ts'
import type { Sql } from '../storage/storage.ts'

/**
 * Refuses an id that a client made where a row of another type has it: ids are unique across all types.
 * @throws ConflictError
 */
export async function requireFreeId(
  sql: Sql,
  id: string,
  otherTables: readonly ('users' | 'sessions' | 'messages' | 'generations')[],
): Promise<void> {
  const found = await sql.all(
    otherTables.map((table) => `SELECT id FROM ${table} WHERE id = ?`).join(' UNION ALL '),
    otherTables.map(() => id),
  )
  if (found.length > 0) throw idTaken()
}

export const idTaken = (): ConflictError => new ConflictError('This id is in use for something else. Take a new one.')
