import type { Services } from '../../server/context.ts'

const tables = [
  ...['users', 'sessions', 'participants', 'owner_decisions', 'invitations'],
  ...['messages', 'generations'],
  ...['session_logs', 'session_events', 'usage_records'],
  ...['api_keys', 'revoked_tokens', 'deleted_accounts'],
]

/** How many rows each table has; the audit log is left out, which has what was refused as well. */
export async function countRows({ storage }: Services): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const table of tables) {
    const [row] = await storage.read.all<{ n: number | string }>(`SELECT count(*) AS n FROM ${table}`)
    counts[table] = Number(row!.n)
  }
  return counts
}
