import type { Services } from '../../server/context.ts'

const tables = [
  ...['users', 'sessions', 'participants', 'invitations', 'messages', 'generations'],
  ...['session_logs', 'session_events', 'usage_records', 'audit_entries'],
]

/** How many rows each table has. */
export async function countRows({ storage }: Services): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const table of tables) {
    const [row] = await storage.read.all<{ n: number | string }>(`SELECT count(*) AS n FROM ${table}`)
    counts[table] = Number(row!.n)
  }
  return counts
}
