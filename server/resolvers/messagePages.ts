import { storedText } from '../generation/prompt.ts'
import type { Statement, Storage } from '../storage/storage.ts'
import { messageColumns, messageOf, type MessageRow } from '../storage/rows.ts'

export interface MessagePageRequest {
  /** How many are wanted; one more is read, to know whether there are more. */
  limit: number
  /** Newest first. */
  fromEnd: boolean
  /** Only those with a higher `seq`; 0 for all. */
  after: number
  /** Only those with a lower `seq`. */
  before: number
}

export interface PositionRequest {
  sessionId: string
  /** Null for the position of the session's newest event. */
  page: MessagePageRequest | null
}

/**
 * Reads pages of messages and positions of logs, all of one moment: who follows from the position on misses nothing and
 * sees nothing twice that is not on the page. Requests for the same page of several sessions are one statement.
 */
export async function readPositions(
  storage: Storage,
  requests: readonly PositionRequest[],
): Promise<(number | MessageRow[])[]> {
  const groups = [...Map.groupBy(requests, ({ page }) => JSON.stringify(page)).values()]
  const results = await storage.snapshot(
    groups.map((group) => {
      const ids = group.map(({ sessionId }) => sessionId)
      return group[0]!.page ? pageStatement(storage, ids, group[0]!.page) : lastSeqStatement(storage, ids)
    }),
  )
  const answers = new Map<PositionRequest, number | MessageRow[]>()
  for (const [index, group] of groups.entries()) {
    const bySession = Map.groupBy(results[index]!, (row) => row.sessionId as string)
    for (const request of group) {
      const rows = bySession.get(request.sessionId) ?? []
      answers.set(request, request.page ? rows.map(messageOf) : ((rows[0]?.lastSeq as number | undefined) ?? 0))
    }
  }
  return requests.map((request) => answers.get(request)!)
}

const lastSeqStatement = ({ dialect }: Storage, ids: string[]): Statement => ({
  sql: `SELECT session_id AS "sessionId", last_seq AS "lastSeq" FROM session_logs WHERE ${dialect.isIn('session_id')}`,
  params: [dialect.list(ids)],
})

/**
 * For each session, walks the index on (session_id, seq) from the page's own end and no further than the page, however
 * long the session is. SQLite has no LATERAL, PostgreSQL would not keep to the order of the joins without it.
 */
function pageStatement(
  storage: Storage,
  ids: string[],
  { limit, fromEnd, after, before }: MessagePageRequest,
): Statement {
  const { dialect } = storage
  const order = fromEnd ? 'DESC' : 'ASC'
  const [only, ...others] = ids
  if (only !== undefined && others.length === 0)
    return {
      sql: `SELECT ${messageColumns('messages')}, ${storedText(storage)} AS content FROM messages
            WHERE messages.session_id = ? AND messages.seq > ? AND messages.seq < ? ORDER BY messages.seq ${order} LIMIT ?`,
      params: [only, after, before, limit + 1],
    }
  const page = (session: string) =>
    `SELECT m.seq FROM messages m WHERE m.session_id = ${session} AND m.seq > ? AND m.seq < ? ORDER BY m.seq ${order} LIMIT ?`
  const from =
    dialect.name === 'postgres'
      ? `unnest(?::uuid[]) AS s (id) CROSS JOIN LATERAL (${page('s.id')}) AS page
         JOIN messages ON messages.session_id = s.id AND messages.seq = page.seq`
      : `json_each(?) AS s CROSS JOIN messages ON messages.session_id = s.value AND messages.seq IN (${page('s.value')})`
  return {
    sql: `SELECT ${messageColumns('messages')}, ${storedText(storage)} AS content FROM ${from} ORDER BY messages.session_id, messages.seq ${order}`,
    params: [dialect.list(ids), after, before, limit + 1],
  }
}
