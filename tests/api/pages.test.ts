import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { gql, post, signIn, type Person } from '../support/clients.ts'
import { createSession, join, send } from '../support/operations.ts'
import { storageKinds } from '../support/storages.ts'

interface Page {
  edges: { cursor: string; node: { id: string } }[]
  pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; startCursor: string | null; endCursor: string | null }
  totalCount: number
}

const page = 'edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount'
const args = 'first: $first, after: $after, last: $last, before: $before'
const variables = '$first: Int, $after: String, $last: Int, $before: String'

describe.each(storageKinds)('pages over HTTP on %s', (storage) => {
  let app: TestApp
  let ada: Person
  let sessionId: string
  const messageIds: string[] = []
  const sessionIds: string[] = []

  beforeAll(async () => {
    app = await startApp({ storage })
    ada = await signIn(app)
    sessionId = await createSession(app, ada)
    for (let n = 0; n < 25; n++) messageIds.push((await send(app, ada, sessionId, `${n}`, { respond: false })).sentId)
    for (let n = 0; n < 12; n++) sessionIds.unshift(await createSession(app, ada, { title: `Title ${n}` }))
    sessionIds.push(sessionId)
  })
  afterAll(() => app?.stop())

  const lists = {
    messages: {
      ids: messageIds,
      query: `query ($id: ID!, ${variables}) { session(id: $id) { list: messages(${args}) { ${page} } } }`,
      listOf: (data: unknown) => (data as { session: { list: Page } }).session.list,
    },
    sessions: {
      ids: sessionIds,
      query: `query (${variables}) { list: sessions(${args}) { ${page} } }`,
      listOf: (data: unknown) => (data as { list: Page }).list,
    },
  }

  describe.each(Object.keys(lists) as (keyof typeof lists)[])('of %s', (name) => {
    const { ids, query, listOf } = lists[name]
    const given = (more: object) => ({ ...(name === 'messages' ? { id: sessionId } : {}), ...more })
    const read = async (more: object): Promise<Page> => listOf(await gql(app, query, given(more), ada))

    it.each([1, 7, 200])('add up to the whole list in both directions, %i at a time', async (size) => {
      const forwards: string[] = []
      let after: string | null = null
      do {
        const { edges, pageInfo, totalCount }: Page = await read({ first: size, after })
        expect(totalCount).toBe(ids.length)
        expect(pageInfo.hasPreviousPage).toBe(after !== null)
        forwards.push(...edges.map(({ node }) => node.id))
        after = pageInfo.hasNextPage ? pageInfo.endCursor : null
      } while (after !== null)
      expect(forwards).toEqual(ids)

      const backwards: string[] = []
      let before: string | null = null
      do {
        const { edges, pageInfo }: Page = await read({ last: size, before })
        expect(pageInfo.hasNextPage).toBe(before !== null)
        backwards.unshift(...edges.map(({ node }) => node.id))
        before = pageInfo.hasPreviousPage ? pageInfo.startCursor : null
      } while (before !== null)
      expect(backwards).toEqual(ids)
    })

    it('may be empty', async () => {
      expect(await read({ first: 0 })).toMatchObject({ edges: [], pageInfo: { startCursor: null, endCursor: null } })
    })

    it.each([
      ['first', { first: -1 }],
      ['first', { first: 201 }],
      ['last', { last: -1 }],
      ['after', { after: 'nonsense' }],
      ['before', { last: 1, before: Buffer.from("1' OR 1=1 --").toString('base64url') }],
      ['after', { after: '' }],
    ])('are refused for a bad %s: %j', async (field, more) => {
      const { status, body } = await post(app, query, given(more), ada)
      expect(status).toBe(200)
      expect(body.errors?.[0]).toMatchObject({ extensions: { code: 'INVALID_INPUT', fields: [{ path: [field] }] } })
    })
  })

  it('of sessions with all that a list shows take at most 8 statements for 50 of them', async () => {
    const bob = await signIn(app, 'Bob')
    const [cleo, dora] = [await signIn(app, 'Cleo'), await signIn(app, 'Dora')]
    for (let n = 0; n < 50; n++) {
      const id = await createSession(app, bob)
      if (n % 10 === 0) for (const person of [cleo, dora]) await join(app, bob, person, id)
      await send(app, bob, id, `${n}`, { respond: false })
    }
    const { services } = app
    const real = services.storage
    const statements: string[] = []
    services.storage = {
      ...real,
      read: {
        ...real.read,
        all: (sql, params) => {
          statements.push(sql)
          return real.read.all(sql, params)
        },
      },
      snapshot: (reads) => {
        statements.push(...reads.map(({ sql }) => sql))
        return real.snapshot(reads)
      },
    }
    try {
      const { sessions } = await gql<{ sessions: Page }>(
        app,
        `{ sessions(first: 50) { totalCount edges { cursor node { id title lastSeq messageCount
          owner { name } participants { role isOnline user { name } } model { id provider { name } } usage { totalTokens }
          messages(last: 3) { totalCount edges { node { content author { name } parent { id } generation { status } } } } } } } }`,
        {},
        bob,
      )
      expect(sessions.edges).toHaveLength(50)
      expect(statements.length, statements.join('\n')).toBeLessThanOrEqual(8)
    } finally {
      services.storage = real
    }
  })
})
