import { storedText } from '../generation/prompt.ts'
import type { Statement, Storage } from '../storage/storage.ts'
import { limited, messageColumns, someMessageColumns, type MessagePart } from '../storage/rows.ts'

export interface MessagePageRequest {
  /** How many are wanted; one more is read, to know whether there are more. */
  limit: number
  /** Newest first. */
  fromEnd: boolean
  /** Only those with a higher `seq`; 0 for all. */
  after: number
  /** Only those with a lower `seq`. */
  before: number
  /** What is asked of the messages; all of it where left out. */
  parts?: readonly MessagePart[]
}

/**
 * For each session, walks the index on (session_id, seq) from the page's own end and no further than the page, however
 * long the session is. SQLite has no LATERAL, PostgreSQL would not keep to the order of the joins without it.
 */
export function pageStatement(storage: Storage, ids: string[], page: MessagePageRequest): Statement {
  const { limit, after, before } = page
  const [only, ...others] = ids
  const isOne = only !== undefined && others.length === 0
  return {
    sql: pageText(storage, isOne, page),
    params: [isOne ? only : storage.dialect.list(ids), after, before, limit + 1],
  }
}

const texts = new Map<string, string>()

/** Made once for each choice of parts: it is long, and a text that is made anew is hashed anew to find its statement. */
function pageText(storage: Storage, isOne: boolean, { fromEnd, parts }: MessagePageRequest): string {
  const { dialect } = storage
  const key = `${dialect.name} ${isOne} ${fromEnd} ${parts?.join(' ')}`
  const made = texts.get(key)
  if (made !== undefined) return made
  const order = fromEnd ? 'DESC' : 'ASC'
  const columns = selected(storage, parts)
  const page = (session: string) =>
    `SELECT m.seq FROM messages m WHERE m.session_id = ${session} AND m.seq > ? AND m.seq < ? ORDER BY m.seq ${order} ${limited}`
  const from =
    dialect.name === 'postgres'
      ? `unnest(?::uuid[]) AS s (id) CROSS JOIN LATERAL (${page('s.id')}) AS page
         JOIN messages ON messages.session_id = s.id AND messages.seq = page.seq`
      : `json_each(?) AS s CROSS JOIN messages ON messages.session_id = s.value AND messages.seq IN (${page('s.value')})`
  const text = isOne
    ? `SELECT ${columns} FROM messages
       WHERE messages.session_id = ? AND messages.seq > ? AND messages.seq < ? ORDER BY messages.seq ${order} ${limited}`
    : `SELECT ${columns} FROM ${from} ORDER BY messages.session_id, messages.seq ${order}`
  texts.set(key, text)
  return text
}

/** Each column costs as much as the walk to its row, and most pages are asked for half of them. */
function selected(storage: Storage, parts: readonly MessagePart[] | undefined): string {
  const columns = parts ? someMessageColumns(parts) : messageColumns('messages')
  return !parts || parts.includes('content') ? `${columns}, ${storedText(storage)} AS content` : columns
}
