import { randomUUID } from 'node:crypto'
import { graphql } from 'graphql'
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import { schema } from '../../server/schema/schema.ts'
import { databases, openHouse } from '../resolvers/house.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { gql, post, signIn, type Person } from '../support/clients.ts'
import { readEntries, startAudited } from '../support/auditLog.ts'
import { createSession, join, send } from '../support/operations.ts'
import { storageKinds } from '../support/storages.ts'

const document = `query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }`

describe.each(storageKinds)('nodes on %s', (storage) => {
  let app: TestApp
  let ada: Person
  let bob: Person
  let eve: Person
  let sessionId: string
  let ids: string[]
  beforeAll(async () => {
    app = await startApp({ storage })
    ;[ada, bob, eve] = await Promise.all([signIn(app, 'Ada'), signIn(app, 'Bob'), signIn(app, 'Eve')])
    sessionId = await createSession(app, ada)
    await join(app, ada, bob, sessionId, 'VIEWER')
    const { sentId, replyId, generationId } = await send(app, ada, sessionId, 'Hello [[tokens=1]]')
    ids = [generationId, sessionId, ada.id, replyId, bob.id, sentId]
  })
  afterAll(() => app?.stop())

  const nodes = async (by: Person, of: string[]) =>
    (await gql<{ nodes: ({ __typename: string; id: string } | null)[] }>(app, document, { ids: of }, by)).nodes

  it('come in the order asked, each as often, and in any case of letters', async () => {
    const asked = [...ids, ids[1]!, ids[0]!.toUpperCase()]
    const found = await nodes(bob, asked)
    expect(found.map((node) => node?.id)).toEqual([...ids, ids[1], ids[0]])
    expect(found.map((node) => node?.__typename)).toEqual([
      'Generation',
      'Session',
      'User',
      'Message',
      'User',
      'Message',
      'Session',
      'Generation',
    ])
  })

  it('are null where there is none or the viewer may not read it, exactly as node', async () => {
    const asked = [...ids, eve.id, randomUUID(), 'no id', '', `${sessionId}:${ada.id}`]
    for (const by of [ada, bob, eve]) {
      const alone = await Promise.all(
        asked.map(async (id) => {
          const { node } = await gql<{ node: unknown }>(
            app,
            'query ($id: ID!) { node(id: $id) { __typename id } }',
            { id },
            by,
          )
          return node
        }),
      )
      expect(await nodes(by, asked)).toEqual(alone)
      expect(alone.filter(Boolean)).toHaveLength(by === eve ? 1 : ids.length)
    }
  })

  it('are at most 100, and none of none', async () => {
    expect(await nodes(ada, [])).toEqual([])
    expect(
      await nodes(
        ada,
        Array.from({ length: 100 }, () => sessionId),
      ),
    ).toHaveLength(100)
    const { body } = await post(app, document, { ids: Array.from({ length: 101 }, () => sessionId) }, ada)
    expect(body.errors).toMatchObject([{ extensions: { code: 'INVALID_INPUT', fields: [{ path: ['ids'] }] } }])
  })

  it('cost as much as there are ids, given in the document or in variables', async () => {
    const select = '{ ... on Session { participants { user { id } } messages(first: 200) { nodes { content } } } }'
    const few = await post(app, `query ($ids: [ID!]!) { nodes(ids: $ids) ${select} }`, { ids: ids.slice(0, 4) }, ada)
    expect(few.body.errors).toBeUndefined()
    const many = Array.from({ length: 100 }, () => randomUUID())
    for (const { body } of [
      await post(app, `query ($ids: [ID!]!) { nodes(ids: $ids) ${select} }`, { ids: many }, ada),
      await post(app, `{ nodes(ids: ${JSON.stringify(many)}) ${select} }`, {}, ada),
      await post(app, `query ($ids: [ID!]! = ${JSON.stringify(many)}) { nodes(ids: $ids) ${select} }`, {}, ada),
    ])
      expect(body.errors?.[0]?.message).toContain('MAX_QUERY_COST')
  })
})

test('what may not be read of nodes is noted once, with the first such id', async () => {
  const { app, admin, ada } = await startAudited('sqlite')
  try {
    const foreign = await createSession(app, await signIn(app, 'Eve'))
    await gql(app, document, { ids: [ada.id, foreign, randomUUID()] }, ada)
    const noted = (await readEntries(app, admin)).filter(({ action }) => action === 'nodes')
    expect(noted).toMatchObject([{ userId: ada.id, subjectId: foreign, errorCode: 'NOT_FOUND' }])
  } finally {
    await app.stop()
  }
})

test.each(databases)('a hundred nodes take as few statements as one on %s', async (database) => {
  const house = await openHouse(database)
  try {
    const ada = await house.user('Ada')
    const session = await house.session(ada)
    const ids = [session.id, ...(await house.messages(session, ada, 99))]
    const read = async (of: string[]) => {
      house.reads.length = 0
      const { data } = await graphql({
        schema,
        source: document,
        variableValues: { ids: of },
        contextValue: house.ctx(ada),
      })
      expect((data!.nodes as unknown[]).filter(Boolean)).toHaveLength(of.length)
      return house.reads.length
    }
    const one = await read(ids.slice(0, 1))
    expect(await read(ids)).toBe(one)
    expect(one).toBeLessThanOrEqual(5)
  } finally {
    await house.close()
  }
})
