import { createHash } from 'node:crypto'
import type { Stored } from './stored.ts'

/** Who tried what is noted whatever became of it, and when someone was here is nobody's input. */
const isNoted = (table: string): boolean => /audit|migration|^sqlite_/.test(table)
const passing = new Set(['last_seen_at', 'last_used_at'])

/** A digest of each table, the audit log left out: of all that input may change. */
export async function digestTables(stored: Stored, isSqlite: boolean): Promise<Record<string, string>> {
  const tables = await stored.all<{ name: string }>(
    isSqlite
      ? `SELECT name FROM sqlite_schema WHERE type = 'table'`
      : `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`,
  )
  const digests: Record<string, string> = {}
  for (const { name } of tables) {
    if (isNoted(name)) continue
    const rows = await stored.all(`SELECT * FROM ${name}`)
    const lines = rows.map((row) => JSON.stringify(Object.entries(row).filter(([column]) => !passing.has(column))))
    digests[name] = createHash('sha256').update(lines.sort().join('\n')).digest('hex')
  }
  return digests
}

/** Names of the tables that differ. */
export const changedTables = (before: Record<string, string>, after: Record<string, string>): string[] =>
  Object.keys({ ...before, ...after }).filter((name) => before[name] !== after[name])
