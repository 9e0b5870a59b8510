import type { Row, Statement, Storage } from '../storage/storage.ts'
import { participantColumns, sessionColumns, userColumns } from '../storage/rows.ts'
import { pageStatement, type MessagePageRequest } from './messagePages.ts'

/** Something of a session that its log tells of; `log` is the position of the newest event, with the session's own row. */
export interface SnapshotRequest {
  sessionId: string
  read: 'log' | 'participants' | 'usage' | MessagePageRequest
}

/**
 * Reads all of it at one moment: who follows from the position on misses nothing, and sees nothing twice, of whatever is
 * asked together with it. Requests for the same thing of several sessions are one statement.
 * @returns the rows of each request, in the order of reading
 */
export async function readSnapshot(storage: Storage, requests: readonly SnapshotRequest[]): Promise<Row[][]> {
  const [only, ...others] = requests
  if (only && others.length === 0) return storage.snapshot([statementOf(storage, only.read, [only.sessionId])])
  const groups = [...Map.groupBy(requests, ({ read }) => JSON.stringify(read)).values()]
  const results = await storage.snapshot(
    groups.map((group) =>
      statementOf(
        storage,
        group[0]!.read,
        group.map(({ sessionId }) => sessionId),
      ),
    ),
  )
  const answers = new Map<SnapshotRequest, Row[]>()
  for (const [index, group] of groups.entries()) {
    const bySession = Map.groupBy(results[index]!, (row) => row.sessionId as string)
    for (const request of group) answers.set(request, bySession.get(request.sessionId) ?? [])
  }
  return requests.map((request) => answers.get(request)!)
}

function statementOf(storage: Storage, read: SnapshotRequest['read'], sessionIds: string[]): Statement {
  const { dialect } = storage
  const params = [dialect.list(sessionIds)]
  if (read === 'log')
    return {
      sql: `SELECT l.session_id AS "sessionId", l.last_seq AS "lastSeq", ${sessionColumns('s')}
            FROM session_logs l JOIN sessions s ON s.id = l.session_id WHERE ${dialect.isIn('l.session_id')}`,
      params,
    }
  if (read === 'participants') return { sql: participantsSql(dialect.isIn('p.session_id')), params }
  if (read === 'usage') return { sql: usageSql(dialect.isIn('u.session_id')), params }
  return pageStatement(storage, sessionIds, read)
}

/** Participants with their users, whose columns begin with `user:`; who came first comes first. */
export const participantsSql = (where: string): string =>
  `SELECT ${participantColumns('p')}, ${userColumns('u', 'user:')}
   FROM participants p JOIN users u ON u.id = p.user_id WHERE ${where} ORDER BY p.joined_at, p.user_id`

/** What all generations of each session used. */
export const usageSql = (where: string): string =>
  `SELECT u.session_id AS "sessionId", sum(u.prompt_tokens) AS "promptTokens",
     sum(u.completion_tokens) AS "completionTokens", max(CASE WHEN u.is_estimated THEN 1 ELSE 0 END) AS "isEstimated"
   FROM usage_records u WHERE ${where} GROUP BY u.session_id`
