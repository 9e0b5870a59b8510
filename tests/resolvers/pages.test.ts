import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Context } from '../../server/context.ts'
import type { User } from '../../server/entities/user.ts'
import { InvalidInputError } from '../../server/errors.ts'
import { encodeCursor, type Connection, type PageArgs } from '../../server/resolvers/connection.ts'
import { message, messagesOf } from '../../server/resolvers/message.ts'
import { sessions } from '../../server/resolvers/sessionList.ts'
import type { SessionRow } from '../../server/storage/rows.ts'
import type { Param } from '../../server/storage/storage.ts'
import { databases, openHouse, type House } from './house.ts'

describe.each(databases)('pages on %s', (database) => {
  let house: House
  let ada: User
  let long: SessionRow
  let ids: string[]
  beforeAll(async () => {
    house = await openHouse(database)
    ada = await house.user('Ada')
    long = await house.session(ada)
    ids = await house.messages(long, ada, 23)
  })
  afterAll(() => house.close())

  const page = (args: PageArgs, ctx: Context = house.ctx(ada)) => messagesOf(ctx, { ...long, messageCount: 23 }, args)
  const idsOf = ({ edges }: Connection<{ id: string }>) => edges.map(({ node }) => node.id)

  test('forwards and backwards, the pages add up to the list without a hole or a repeat', async () => {
    const forwards: string[] = []
    let after: string | null = null
    do {
      const { edges, pageInfo }: Connection<{ id: string }> = await page({ first: 5, after })
      forwards.push(...edges.map(({ node }) => node.id))
      expect(pageInfo.hasPreviousPage).toBe(after !== null)
      after = pageInfo.hasNextPage ? pageInfo.endCursor : null
    } while (after)
    expect(forwards).toEqual(ids)

    const backwards: string[] = []
    let before: string | null = null
    do {
      const { edges, pageInfo }: Connection<{ id: string }> = await page({ last: 5, before })
      backwards.unshift(...edges.map(({ node }) => node.id))
      expect(pageInfo.hasNextPage).toBe(before !== null)
      before = pageInfo.hasPreviousPage ? pageInfo.startCursor : null
    } while (before)
    expect(backwards).toEqual(ids)
  })

  test('between two cursors, and by `first` and `last` together, a page is what Relay says', async () => {
    const all = await page({})
    expect(idsOf(all)).toEqual(ids)
    expect(await all.totalCount()).toBe(23)
    const [after, before] = [all.edges[3]!.cursor, all.edges[10]!.cursor]
    expect(idsOf(await page({ after, before }))).toEqual(ids.slice(4, 10))
    expect(idsOf(await page({ after, before, last: 2 }))).toEqual(ids.slice(8, 10))
    const both = await page({ first: 10, last: 3 })
    expect(idsOf(both)).toEqual(ids.slice(7, 10))
    expect(both.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: true })
    const none = await page({ first: 0 })
    expect(none).toMatchObject({ edges: [], pageInfo: { hasNextPage: true, startCursor: null, endCursor: null } })
  })

  test.each<[string, PageArgs]>([
    ['first', { first: -1 }],
    ['first', { first: 201 }],
    ['last', { last: -1 }],
    ['last', { last: 201 }],
    ['after', { after: 'x' }],
    ['before', { before: '' }],
    ['after', { after: encodeCursor('99999999999') }],
    ['after', { after: encodeCursor("1' OR 1=1") }],
  ])('a wrong `%s` (%o) is refused by its name', async (name, args) => {
    const error = await page(args).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(InvalidInputError)
    expect((error as InvalidInputError).fields.map(({ path }) => path)).toEqual([[name]])
  })

  test('the pages of many sessions and their positions are two statements of one moment', async () => {
    const others = await Promise.all(Array.from({ length: 10 }, () => house.session(ada)))
    const expected = []
    for (const [index, session] of others.entries())
      expected.push((await house.messages(session, ada, index)).slice(-3))
    const ctx = house.ctx(ada)
    house.reads.length = 0
    const [seqs, pages] = await Promise.all([
      Promise.all(others.map(({ id }) => ctx.loaders.lastSeq(id))),
      Promise.all(others.map((session) => messagesOf(ctx, session, { last: 3 }))),
    ])
    expect(house.reads).toHaveLength(2)
    expect(pages.map(idsOf)).toEqual(expected)
    expect(seqs).toEqual(others.map((_, index) => index))
  })

  test('a message that streams has the text of its deltas, an ended one its own', async () => {
    const session = await house.session(ada)
    const [id] = await house.messages(session, ada, 1)
    const { storage, log } = house.services
    await storage.transaction(async (tx) => {
      await tx.run(`UPDATE messages SET content = 'Hello', content_seq = 1, status = 'STREAMING' WHERE id = ?`, [id!])
      const delta = (offset: number, text: string) =>
        ({ kind: 'MessageDelta', delta: { messageId: id!, messageSeq: 1, offset, text } }) as const
      await log.append(tx, session.id, [delta(5, ', '), delta(7, 'wörld'), delta(12, ' 😀')])
    })
    expect(await message(house.ctx(ada), { id: id! })).toMatchObject({ content: 'Hello, wörld 😀' })
    const { edges } = await messagesOf(house.ctx(ada), session, {})
    expect(edges[0]!.node.content).toBe('Hello, wörld 😀')
    await storage.transaction((tx) =>
      tx.run(`UPDATE messages SET status = 'COMPLETE', content = 'Done' WHERE id = ?`, [id!]),
    )
    expect(await message(house.ctx(ada), { id: id! })).toMatchObject({ content: 'Done' })
  })

  test('the list has own and joined sessions, last active first, by pages and filters', async () => {
    const [owner, other] = [await house.user('Olga'), await house.user('Otto')]
    const made: SessionRow[] = []
    for (const title of ['Zürich', 'ZÜRICH two', '50% off_', 'plain']) made.push(await house.session(owner, title))
    const joined = await house.session(other, 'joined')
    await house.session(other, 'not joined')
    await house.join(joined, owner, 'VIEWER')
    const [zurich, zurichTwo, half, plain] = made as [SessionRow, SessionRow, SessionRow, SessionRow]
    await house.services.storage.transaction(async (tx) => {
      const activeAt = (time: number, { id }: SessionRow) =>
        tx.run(`UPDATE sessions SET last_active_at = ? WHERE id = ?`, [new Date(time), id])
      for (const session of [zurich, zurichTwo, half]) await activeAt(5000, session)
      await activeAt(6000, plain)
      await activeAt(7000, joined)
      await tx.run(`UPDATE sessions SET is_archived = ?, model = 'Demo/x' WHERE id = ?`, [true, plain.id])
    })
    const list = (args: Parameters<typeof sessions>[1]) => sessions(house.ctx(owner), args)
    const newestFirst = (...of: SessionRow[]) =>
      of
        .map(({ id }) => id)
        .sort()
        .reverse()
    // of those of the same moment their ids decide
    const expected = [joined.id, plain.id, ...newestFirst(zurich, zurichTwo, half)]
    const all = await list({})
    expect(idsOf(all)).toEqual(expected)
    expect(await all.totalCount()).toBe(5)

    const forwards: string[] = []
    let after: string | null = null
    do {
      const { edges, pageInfo }: Connection<SessionRow> = await list({ first: 2, after })
      forwards.push(...edges.map(({ node }) => node.id))
      after = pageInfo.hasNextPage ? pageInfo.endCursor : null
    } while (after)
    expect(forwards).toEqual(expected)
    expect(idsOf(await list({ last: 2 }))).toEqual(expected.slice(-2))
    expect(idsOf(await list({ last: 2, before: all.edges[3]!.cursor }))).toEqual(expected.slice(1, 3))

    expect(idsOf(await list({ filter: { title: 'züR' } }))).toEqual(newestFirst(zurich, zurichTwo))
    expect(idsOf(await list({ filter: { title: '%' } }))).toEqual([half.id])
    expect(idsOf(await list({ filter: { isArchived: true } }))).toEqual([plain.id])
    expect(idsOf(await list({ filter: { isArchived: false } }))).toHaveLength(4)
    expect(idsOf(await list({ filter: { provider: 'demo' } }))).not.toContain(plain.id)
    const some = await list({ first: 1, filter: { provider: 'demo', title: 'R' } })
    expect(await some.totalCount()).toBe(2)
    await expect(list({ filter: { title: '\0' } })).rejects.toThrow(InvalidInputError)
    await expect(list({ after: encodeCursor('1 x') })).rejects.toThrow(InvalidInputError)
  })
})

describe('the last page of a long session reads no more of it than the page', () => {
  /** Runs on a session of 50,000 messages, with the statement of its last page. */
  async function lastPage(
    database: (typeof databases)[number],
    look: (house: House, sql: string, params: Param[]) => Promise<void>,
  ) {
    const house = await openHouse(database)
    try {
      const ada = await house.user()
      const session = await house.session(ada)
      const [id] = await house.messages(session, ada, 1)
      const { storage } = house.services
      await storage.transaction(async (tx) => {
        const names = 'session_id, role, type, content, content_seq, status, metadata, created_at, updated_at'
        const newId = database === 'SQLite' ? 'lower(hex(randomblob(16)))' : 'gen_random_uuid()'
        await tx.run(
          `WITH RECURSIVE numbers (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM numbers WHERE n < 50000)
           INSERT INTO messages (id, seq, ${names}) SELECT ${newId}, n, ${names} FROM messages, numbers WHERE id = ?`,
          [id!],
        )
        await tx.run('ANALYZE')
      })
      house.reads.length = 0
      const { edges } = await messagesOf(house.ctx(ada), session, { last: 5 })
      expect(edges.map(({ node }) => node.seq)).toEqual([49_996, 49_997, 49_998, 49_999, 50_000])
      await look(house, house.reads[0]!, [session.id, 0, 2 ** 31 - 1, 6])
    } finally {
      await house.close()
    }
  }

  test('on SQLite: only searches in the index', () =>
    lastPage('SQLite', async ({ services }, sql, params) => {
      const plan = await services.storage.read.all<{ detail: string }>(`EXPLAIN QUERY PLAN ${sql}`, params)
      const steps = plan.map(({ detail }) => detail).filter((detail) => / (m|messages) /.test(detail))
      expect(steps).toEqual(['SEARCH messages USING INDEX messages_session_id_seq (session_id=? AND seq>? AND seq<?)'])
    }))

  test('on PostgreSQL: no step has more rows than the page', () =>
    lastPage('PostgreSQL', async ({ services }, sql, params) => {
      const plan = await services.storage.read.all<Record<string, string>>(
        `EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) ${sql}`,
        params,
      )
      const rows = plan.flatMap((line) => /actual rows=(\d+)/.exec(line['QUERY PLAN'] ?? '')?.[1] ?? []).map(Number)
      expect(rows.length).toBeGreaterThan(1)
      expect(Math.max(...rows)).toBe(6)
    }))
})
