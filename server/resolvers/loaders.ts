import DataLoader from 'dataloader'
import type { Services } from '../context.ts'
import { NotFoundError } from '../errors.ts'
import { storedText } from '../generation/prompt.ts'
import type { Row } from '../storage/storage.ts'
import type { MessagePageRequest } from './messagePages.ts'
import { participantsSql, readSnapshot, usageSql, type SnapshotRequest } from './sessionSnapshot.ts'
import {
  generationColumns,
  generationOf,
  messageColumns,
  messageOf,
  participantColumns,
  participantOf,
  sessionColumns,
  sessionOf,
  userColumns,
  userOf,
  type GenerationOfMessage,
  type GenerationRow,
  type MessageRow,
  type ParticipantRow,
  type SessionRow,
  type Usage,
  type UserRow,
} from '../storage/rows.ts'

type Parts = Pick<Services, 'storage' | 'presence'>

/**
 * Reads by id, each kind in one statement for all that is asked at once. Lives as long as an operation or one event of
 * a subscription; a loader is made when it is first used, since most events need none.
 */
export class Loaders {
  readonly #parts: Parts
  #made: Map<string, unknown> | undefined
  /** What was read, by id, for whoever need not wait: a promise for each message of a page costs more than to read it. */
  #users: Map<string, UserRow> | undefined
  #messages: Map<string, MessageRow> | undefined

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Forgets what was read, for whoever has changed it. */
  clearAll(): void {
    this.#made = undefined
    this.#users = undefined
    this.#messages = undefined
  }

  /** @throws NotFoundError for an unknown id */
  get user(): DataLoader<string, UserRow> {
    return this.#loader('user', async (ids) => {
      const users = (this.#users ??= new Map<string, UserRow>())
      const rows = await this.#byIds(`SELECT ${userColumns('u')} FROM users u WHERE`, 'u.id', ids)
      for (const row of rows) users.set(row.id as string, userOf(row))
      return ids.map((id) => users.get(id) ?? gone('user'))
    })
  }

  /** A user; at once where they were read with a page. */
  author(id: string): UserRow | Promise<UserRow> {
    return this.#users?.get(id) ?? this.user.load(id)
  }

  /** @throws NotFoundError for an unknown id */
  get session(): DataLoader<string, SessionRow> {
    return this.#loader('session', async (ids) => {
      const rows = await this.#byIds(
        `SELECT ${sessionColumns('s')}, ${userColumns('o', 'owner:')} FROM sessions s JOIN users o ON o.id = s.owner_id WHERE`,
        's.id',
        ids,
      )
      for (const row of rows) this.user.prime(row['owner:id'] as string, userOf(row, 'owner:'))
      return inOrder(ids, rows.map(sessionOf), (session) => session.id).map((session) => session ?? gone('session'))
    })
  }

  get message(): DataLoader<string, MessageRow | null> {
    return this.#loader('message', async (ids) => {
      const { storage } = this.#parts
      const unread = ids.filter((id) => !this.#messages?.has(id))
      const select = `SELECT ${messageColumns('messages')}, ${storedText(storage)} AS content FROM messages WHERE`
      const rows = unread.length > 0 ? await this.#byIds(select, 'messages.id', unread) : []
      const read = new Map(rows.map((row) => [row.id, messageOf(row)]))
      return ids.map((id) => this.#messages?.get(id) ?? read.get(id) ?? null)
    })
  }

  get generation(): DataLoader<string, GenerationRow | null> {
    return this.#loader('generation', async (ids) => {
      const rows = await this.#byIds(`SELECT ${generationColumns('g')} FROM generations g WHERE`, 'g.id', ids)
      return inOrder(ids, rows.map(generationOf), (generation) => generation.id)
    })
  }

  /** The generation that writes a message, by the message's id, with its usage and error. */
  get generationOfMessage(): DataLoader<string, GenerationOfMessage | null> {
    return this.#loader('generationOfMessage', async (ids) => {
      const rows = await this.#byIds(
        `SELECT ${generationColumns('g')}, u.prompt_tokens AS "promptTokens", u.completion_tokens AS "completionTokens",
           u.is_estimated AS "isEstimated"
         FROM generations g LEFT JOIN usage_records u ON u.generation_id = g.id WHERE`,
        'g.message_id',
        ids,
      )
      return inOrder(ids, rows.map(generationOfMessage), ({ generation }) => generation.messageId)
    })
  }

  /** A session's participants, by its id; who came first comes first. */
  get participants(): DataLoader<string, ParticipantRow[]> {
    return this.#loader('participants', async (ids) => {
      const { dialect, read } = this.#parts.storage
      const rows = await read.all(participantsSql(dialect.isIn('p.session_id')), [dialect.list(ids)])
      const bySession = Map.groupBy(rows, ({ sessionId }) => sessionId)
      return ids.map((id) => this.#participantsOf(bySession.get(id) ?? []))
    })
  }

  /** One participant of a session; null where this person is none. */
  participant(sessionId: string, userId: string): Promise<ParticipantRow | null> {
    return this.#participant.load(`${sessionId} ${userId}`)
  }

  get #participant(): DataLoader<string, ParticipantRow | null> {
    return this.#loader('participant', async (keys) => {
      const { dialect, read } = this.#parts.storage
      const [sessionIds, userIds] = [0, 1].map((place) => [...new Set(keys.map((key) => key.split(' ')[place]!))])
      const rows = await read.all(
        `SELECT ${participantColumns('p')} FROM participants p WHERE ${dialect.isIn('p.session_id')} AND ${dialect.isIn('p.user_id')}`,
        [dialect.list(sessionIds!), dialect.list(userIds!)],
      )
      return inOrder(keys, rows.map(participantOf), ({ sessionId, userId }) => `${sessionId} ${userId}`)
    })
  }

  /** What all generations of a session used, by its id. */
  get sessionUsage(): DataLoader<string, Usage> {
    return this.#loader('sessionUsage', async (ids) => {
      const { dialect, read } = this.#parts.storage
      const rows = await read.all(usageSql(dialect.isIn('u.session_id')), [dialect.list(ids)])
      const bySession = new Map(rows.map((row) => [row.sessionId, row]))
      return ids.map((id) => sumOf(bySession.get(id)))
    })
  }

  /** Whether a user has a connection open, by their id. */
  get online(): DataLoader<string, boolean> {
    return this.#loader('online', async (ids) => {
      const online = await this.#parts.presence.onlineAmong(ids)
      return ids.map((id) => online.has(id))
    })
  }

  /** Position of a session's newest event. Of the same moment as what is asked together with it of the following. */
  async lastSeq(sessionId: string): Promise<number> {
    return ((await this.#snapshot.load({ sessionId, read: 'log' }))[0]?.lastSeq as number | undefined) ?? 0
  }

  /** The session as it was at `lastSeq`; as it was read before, where it is gone. */
  async sessionAtLastSeq(session: SessionRow): Promise<SessionRow> {
    const [row] = await this.#snapshot.load({ sessionId: session.id, read: 'log' })
    return row ? sessionOf(row) : session
  }

  async participantsAtLastSeq(sessionId: string): Promise<ParticipantRow[]> {
    return this.#participantsOf(await this.#snapshot.load({ sessionId, read: 'participants' }))
  }

  async usageAtLastSeq(sessionId: string): Promise<Usage> {
    return sumOf((await this.#snapshot.load({ sessionId, read: 'usage' }))[0])
  }

  /**
   * One page of a session's messages in the order of reading, one more than its limit where there are more; with it their
   * authors, where it is asked for them.
   */
  async messagePage(sessionId: string, page: MessagePageRequest): Promise<MessageRow[]> {
    const messages = (this.#messages ??= new Map<string, MessageRow>())
    const rows = (await this.#snapshot.load({ sessionId, read: page })).map(messageOf)
    for (const row of rows) messages.set(row.id, row)
    // who can't be read is an error of the message's field, not of the page
    if (page.parts?.includes('authorId'))
      await this.user.loadMany([...new Set(rows.flatMap(({ authorId }) => authorId ?? []))])
    return rows
  }

  #participantsOf(rows: Row[]): ParticipantRow[] {
    for (const row of rows) this.user.prime(row['user:id'] as string, userOf(row, 'user:'))
    return rows.map(participantOf)
  }

  get #snapshot() {
    const made = (this.#made ??= new Map<string, unknown>())
    let loader = made.get('snapshot') as ReturnType<typeof makeSnapshot> | undefined
    if (!loader) made.set('snapshot', (loader = makeSnapshot(this.#parts)))
    return loader
  }

  #loader<T>(name: string, load: (ids: readonly string[]) => Promise<T[]>): DataLoader<string, Exclude<T, Error>> {
    const made = (this.#made ??= new Map<string, unknown>())
    let loader = made.get(name) as DataLoader<string, Exclude<T, Error>> | undefined
    if (!loader) {
      loader = new DataLoader(load as (ids: readonly string[]) => Promise<Exclude<T, Error>[]>)
      made.set(name, loader)
    }
    return loader
  }

  #byIds(select: string, column: string, ids: readonly string[]): Promise<Row[]> {
    const { dialect, read } = this.#parts.storage
    const [only, ...others] = ids
    return only !== undefined && others.length === 0
      ? read.all(`${select} ${column} = ?`, [only])
      : read.all(`${select} ${dialect.isIn(column)}`, [dialect.list(ids)])
  }
}

export const createLoaders = (parts: Parts): Loaders => new Loaders(parts)

const makeSnapshot = ({ storage }: Parts) =>
  new DataLoader((requests: readonly SnapshotRequest[]) => readSnapshot(storage, requests), {
    cacheKeyFn: (request) => JSON.stringify(request),
  })

function inOrder<T>(ids: readonly string[], rows: T[], idOf: (row: T) => string): (T | null)[] {
  const byId = new Map(rows.map((row) => [idOf(row), row]))
  return ids.map((id) => byId.get(id) ?? null)
}

const gone = (what: string): NotFoundError => new NotFoundError(`The ${what} is gone.`)

/** The usage of a session, whose row there is only once something was used. */
const sumOf = (row: Row | undefined): Usage =>
  row ? usageOf(row) : { promptTokens: 0, completionTokens: 0, isEstimated: false }

const usageOf = (row: Row): Usage => ({
  // sums are strings from PostgreSQL
  promptTokens: Number(row.promptTokens),
  completionTokens: Number(row.completionTokens),
  isEstimated: Boolean(row.isEstimated),
})

function generationOfMessage(row: Row): GenerationOfMessage {
  const generation = generationOf(row)
  const { errorCode, errorMessage } = generation
  return {
    generation,
    usage: row.promptTokens === null ? null : usageOf(row),
    error: errorCode ? { code: errorCode, message: errorMessage ?? '' } : null,
  }
}
