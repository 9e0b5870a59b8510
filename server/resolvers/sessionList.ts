import { z } from 'zod'
import type { Context } from '../context.ts'
import { requireViewer } from '../guards/access.ts'
import type { Param } from '../storage/storage.ts'
import { connect, encodeCursor, parsePage, type Connection, type Edge, type PageArgs } from './connection.ts'
import { limited, sessionColumns, sessionOf, userColumns, userOf, type SessionRow } from '../storage/rows.ts'
import { characters, isUuid, parse, text } from './validation.ts'

export interface SessionFilter {
  isArchived?: boolean | null
  provider?: string | null
  title?: string | null
}

const filterSchema = z.object({
  filter: z
    .object({ isArchived: z.boolean().nullish(), provider: text(0, 200).nullish(), title: text(0, 500).nullish() })
    .nullish(),
})

interface Key {
  lastActiveAt: Date
  id: string
}

const keyOf = ({ lastActiveAt, id }: Key): string => `${lastActiveAt.getTime()} ${id}`

/** A session as an entry of the list. */
export const sessionEdge = (session: SessionRow): Edge<SessionRow> => ({
  cursor: encodeCursor(keyOf(session)),
  node: session,
})

function parseKey(key: string): Key | undefined {
  const [time = '', id = '', ...rest] = key.split(' ')
  return /^\d{1,15}$/.test(time) && isUuid(id) && rest.length === 0
    ? { lastActiveAt: new Date(Number(time)), id }
    : undefined
}

/** The viewer's own and joined sessions, last active first. */
export async function sessions(
  ctx: Context,
  args: PageArgs & { filter?: SessionFilter | null },
): Promise<Connection<SessionRow>> {
  const viewer = requireViewer(ctx)
  const page = parsePage(args, parseKey)
  const { filter } = parse(filterSchema, { filter: args.filter })
  const { dialect, read } = ctx.storage

  const conditions = ['p.user_id = ?']
  const params: Param[] = [viewer.id]
  const where = (condition: string, ...values: Param[]): void => {
    conditions.push(condition)
    params.push(...values)
  }
  if (filter?.isArchived != null) where('s.is_archived = ?', filter.isArchived)
  if (filter?.provider != null) {
    const prefix = `${filter.provider}/`
    where('substr(s.model, 1, ?) = ?', characters(prefix), prefix)
  }
  if (filter?.title != null) where(dialect.containsFolded('s.title'), filter.title.toLowerCase())
  const counted = { sql: conditions.join(' AND '), params: [...params] }

  if (page.after) where('(s.last_active_at, s.id) < (?, ?)', page.after.lastActiveAt, page.after.id)
  if (page.before) where('(s.last_active_at, s.id) > (?, ?)', page.before.lastActiveAt, page.before.id)
  const order = page.fromEnd ? 'ASC' : 'DESC'
  const rows = await read.all(
    `SELECT ${sessionColumns('s')}, ${userColumns('o', 'owner:')}
     FROM participants p JOIN sessions s ON s.id = p.session_id JOIN users o ON o.id = s.owner_id
     WHERE ${conditions.join(' AND ')} ORDER BY s.last_active_at ${order}, s.id ${order} ${limited}`,
    [...params, page.limit + 1],
  )
  const found = rows.map((row) => {
    const owner = userOf(row, 'owner:')
    ctx.loaders.user.prime(owner.id, owner)
    const session = sessionOf(row)
    ctx.loaders.session.prime(session.id, session)
    return session
  })

  return connect(found, page, keyOf, async () => {
    const [count] = await read.all<{ n: number | string }>(
      `SELECT count(*) AS n FROM participants p JOIN sessions s ON s.id = p.session_id WHERE ${counted.sql}`,
      counted.params,
    )
    return Number(count!.n)
  })
}
