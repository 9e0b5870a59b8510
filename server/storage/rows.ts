import type { AuditEntry } from '../entities/auditEntry.ts'
import type { Generation } from '../entities/generation.ts'
import type { Message } from '../entities/message.ts'
import type { Participant } from '../entities/participant.ts'
import type { GenerationSettings, Session } from '../entities/session.ts'
import type { User } from '../entities/user.ts'
import type { ErrorCode } from '../errors.ts'
import { toDate, toDateOrNull, toJson, type Param, type Row, type Sql } from './storage.ts'

export type UserRow = User
export type SessionRow = Session
export type ParticipantRow = Participant
export type MessageRow = Message
export type GenerationRow = Generation

export interface Usage {
  promptTokens: number
  completionTokens: number
  isEstimated: boolean
}

/** A generation with what is asked of it through its message. */
export interface GenerationOfMessage {
  generation: GenerationRow
  /** Null until it has ended. */
  usage: Usage | null
  error: { code: ErrorCode; message: string } | null
}

const snakes = new Map<string, string>()

/** A property's column. There are few, and each is asked for by every row that is inserted. */
function snake(name: string): string {
  let column = snakes.get(name)
  if (column === undefined) {
    column = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    snakes.set(name, column)
  }
  return column
}

/**
 * Columns under the names of their entity's properties, each with a prefix where rows of two tables are joined. A text is
 * made once: they are part of every read.
 */
function columns(...names: string[]): (table: string, prefix?: string) => string {
  const made = new Map<string, string>()
  return (table, prefix = '') => {
    const key = `${table} ${prefix}`
    let text = made.get(key)
    if (text === undefined) {
      text = names.map((name) => `${table}.${snake(name)} AS "${prefix}${name}"`).join(', ')
      made.set(key, text)
    }
    return text
  }
}

export const userColumns = columns('id', 'subject', 'name', 'isNameChosen', 'isAdmin', 'createdAt', 'lastSeenAt')

export const userOf = (row: Row, prefix = ''): UserRow => ({
  id: row[`${prefix}id`] as string,
  subject: row[`${prefix}subject`] as string,
  name: row[`${prefix}name`] as string,
  isNameChosen: Boolean(row[`${prefix}isNameChosen`]),
  isAdmin: Boolean(row[`${prefix}isAdmin`]),
  createdAt: toDate(row[`${prefix}createdAt`]),
  lastSeenAt: toDateOrNull(row[`${prefix}lastSeenAt`]),
})

export const sessionColumns = columns(
  ...['id', 'ownerId', 'title', 'isTitleSet', 'model', 'settings', 'metadata', 'isArchived', 'messageCount'],
  ...['createdAt', 'updatedAt', 'lastActiveAt'],
)

export const sessionOf = (row: Row): SessionRow => ({
  id: row.id as string,
  ownerId: row.ownerId as string,
  title: row.title as string,
  isTitleSet: Boolean(row.isTitleSet),
  model: row.model as string,
  settings: toJson<GenerationSettings>(row.settings),
  metadata: toJson<Record<string, unknown>>(row.metadata),
  isArchived: Boolean(row.isArchived),
  messageCount: row.messageCount as number,
  createdAt: toDate(row.createdAt),
  updatedAt: toDate(row.updatedAt),
  lastActiveAt: toDate(row.lastActiveAt),
})

export const participantColumns = columns('sessionId', 'userId', 'role', 'joinedAt')

export const participantOf = (row: Row): ParticipantRow => ({
  sessionId: row.sessionId as string,
  userId: row.userId as string,
  role: row.role as ParticipantRow['role'],
  joinedAt: toDate(row.joinedAt),
})

const mostAskedOfMessages = ['id', 'sessionId', 'seq', 'role', 'status', 'createdAt']

/** All but `content`, which lies beyond its column while it streams. */
export const messageColumns = columns(
  ...mostAskedOfMessages,
  ...['type', 'contentSeq', 'authorId', 'parentId', 'model', 'metadata', 'updatedAt'],
)

/** What a page reads of its messages only where it is asked for. */
export type MessagePart = 'type' | 'content' | 'authorId' | 'parentId' | 'model' | 'metadata' | 'updatedAt'

/** The columns of these parts, and those that nearly all ask for; `content` as in `messageColumns`. */
export const someMessageColumns = (parts: readonly MessagePart[]): string =>
  [...mostAskedOfMessages, ...parts.filter((part) => part !== 'content')]
    .map((name) => `messages.${snake(name)} AS "${name}"`)
    .join(', ')

/** What was not read is undefined. */
export const messageOf = (row: Row): MessageRow => ({
  id: row.id as string,
  sessionId: row.sessionId as string,
  seq: row.seq as number,
  role: row.role as MessageRow['role'],
  type: row.type as MessageRow['type'],
  content: row.content as string,
  contentSeq: row.contentSeq as number,
  status: row.status as MessageRow['status'],
  authorId: row.authorId as string | null,
  parentId: row.parentId as string | null,
  model: row.model as string | null,
  metadata: toJson<Record<string, unknown>>(row.metadata),
  createdAt: toDate(row.createdAt),
  updatedAt: row.updatedAt === undefined ? (undefined as never) : toDate(row.updatedAt),
})

export const generationColumns = columns(
  ...['id', 'messageId', 'sessionId', 'userId', 'model', 'settings', 'status', 'attempts', 'errorCode', 'errorMessage'],
  ...['finishReason', 'timeToFirstTokenMs', 'responseTimeMs', 'ownerNode', 'leaseUntil', 'fence'],
  ...['startedAt', 'endedAt'],
)

export const generationOf = (row: Row): GenerationRow => ({
  id: row.id as string,
  messageId: row.messageId as string,
  sessionId: row.sessionId as string,
  userId: row.userId as string,
  model: row.model as string,
  settings: toJson<GenerationSettings>(row.settings),
  status: row.status as GenerationRow['status'],
  attempts: row.attempts as number,
  errorCode: row.errorCode as GenerationRow['errorCode'],
  errorMessage: row.errorMessage as string | null,
  finishReason: row.finishReason as GenerationRow['finishReason'],
  timeToFirstTokenMs: row.timeToFirstTokenMs as number | null,
  responseTimeMs: row.responseTimeMs as number | null,
  ownerNode: row.ownerNode as string,
  leaseUntil: toDate(row.leaseUntil),
  fence: row.fence as number,
  startedAt: toDate(row.startedAt),
  endedAt: toDateOrNull(row.endedAt),
})

export const auditColumns = columns(
  ...['id', 'userId', 'address', 'requestId', 'action', 'sessionId', 'subjectId', 'errorCode', 'durationMs', 'times'],
  'createdAt',
)

export type AuditRow = { [Name in keyof AuditEntry & string]-?: Exclude<AuditEntry[Name], undefined> }

export const auditOf = (row: Row): AuditRow => ({
  id: row.id as string,
  userId: row.userId as string | null,
  address: row.address as string | null,
  requestId: row.requestId as string | null,
  action: row.action as string,
  sessionId: row.sessionId as string | null,
  subjectId: row.subjectId as string | null,
  errorCode: row.errorCode as ErrorCode | null,
  durationMs: row.durationMs as number,
  times: row.times as number,
  createdAt: toDate(row.createdAt),
})

/**
 * To be bound to how many rows to read at most. Of a bare `LIMIT ?` SQLite takes the value into its plan, and makes the
 * plan anew each time that one is bound.
 */
export const limited = 'LIMIT CAST(? AS INTEGER)'

/** Rows of `StoredEvent`, by the key of a log, a position before them, and how many at most. */
export const eventsSql = `SELECT seq, kind, subject_id AS "subjectId", message_seq AS "messageSeq", text_offset AS "textOffset", data,
    created_at AS "createdAt"
  FROM session_events WHERE log_id = ? AND seq > ? ORDER BY seq ${limited}`

/**
 * Inserts a row whose properties are the columns' names in camelCase; objects go in as JSON.
 * @param made columns whose value the database makes, as SQL, in the place of the row's
 */
export function insert(sql: Sql, table: string, row: object, made: Record<string, string> = {}): Promise<number> {
  const names = Object.keys(row)
  const values = Object.entries(row)
    .filter(([name]) => made[name] === undefined)
    .map(([, value]: [string, Param | object]) =>
      typeof value === 'object' && value !== null && !(value instanceof Date) ? JSON.stringify(value) : value,
    )
  const places = names.map((name) => made[name] ?? '?').join(', ')
  return sql.run(`INSERT INTO ${table} (${names.map(snake).join(', ')}) VALUES (${places})`, values)
}
