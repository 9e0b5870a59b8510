import { storedText } from '../generation/prompt.ts'
import type { Statement, Storage } from '../storage/storage.ts'
import { messageColumns } from '../storage/rows.ts'

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

/**
 * For each session, walks the index on (session_id, seq) from the page's own end and no further than the page, however
 * long the session is. SQLite has no LATERAL, PostgreSQL would not keep to the order of the joins without it.
 */
export function pageStatement(
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
