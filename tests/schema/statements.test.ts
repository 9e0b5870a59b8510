import { randomUUIDv7 } from 'node:crypto'
import { graphql } from 'graphql'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { User } from '../../server/entities/user.ts'
import { schema } from '../../server/schema/schema.ts'
import { insert } from '../../server/storage/rows.ts'
import { databases, openHouse, type House } from '../resolvers/house.ts'

const source = `{
  sessions(first: 50) {
    totalCount
    edges { node {
      id title lastSeq messageCount
      owner { name }
      participants { role isOnline user { id name } }
      model { id name provider { name status } }
      usage { totalTokens isEstimated }
      messages(last: 5) {
        totalCount
        pageInfo { hasPreviousPage }
        edges { node {
          content status
          author { name }
          parent { id author { name } }
          generation { status model { id } }
          usage { totalTokens }
          error { code }
        } }
      }
    } }
  }
}`

interface Answer {
  sessions: { edges: { node: { participants: unknown[]; messages: { edges: { node: Record<string, unknown> }[] } } }[] }
}

describe.each(databases)('a nested query on %s', (database) => {
  let house: House
  let ada: User
  beforeAll(async () => {
    house = await openHouse(database)
    ada = await house.user('Ada')
    const [left, others] = [await house.user('Left'), await Promise.all([house.user('Bob'), house.user('Cleo')])]
    for (let index = 0; index < 50; index++) {
      const session = await house.session(ada)
      for (const other of others) await house.join(session, other, 'MEMBER')
      const ids = await house.messages(session, left, 8)
      await house.services.storage.transaction(async (tx) => {
        for (const [place, id] of ids.entries()) {
          if (place > 0) await tx.run('UPDATE messages SET parent_id = ? WHERE id = ?', [ids[place - 1]!, id])
        }
        const id = randomUUIDv7()
        const now = new Date()
        await tx.run(`UPDATE messages SET role = 'ASSISTANT', author_id = NULL WHERE id = ?`, [ids[7]!])
        await insert(tx, 'generations', {
          ...{ id, messageId: ids[7], sessionId: session.id, userId: ada.id, model: 'demo/demo', settings: {} },
          ...{
            status: 'COMPLETE',
            attempts: 1,
            ownerNode: id,
            leaseUntil: now,
            fence: 1,
            startedAt: now,
            endedAt: now,
          },
        })
        await insert(tx, 'usage_records', {
          ...{ id, generationId: id, sessionId: session.id, userId: ada.id, model: 'demo/demo' },
          ...{ promptTokens: 1, completionTokens: 2, isEstimated: false, createdAt: now },
        })
      })
    }
  })
  afterAll(() => house.close())

  test('over 50 sessions takes at most 8 statements', async () => {
    house.reads.length = 0
    const { data, errors } = await graphql({ schema, source, contextValue: house.ctx(ada) })
    expect(errors).toBeUndefined()
    const { edges } = (data as unknown as Answer).sessions
    expect(edges).toHaveLength(50)
    for (const { node } of edges) {
      expect(node.participants).toHaveLength(3)
      expect(node.messages.edges).toHaveLength(5)
      const [first, ...rest] = node.messages.edges.map((edge) => edge.node)
      expect(first).toMatchObject({ author: { name: 'Left' }, parent: { author: { name: 'Left' } }, generation: null })
      expect(rest.at(-1)).toMatchObject({ author: null, generation: { status: 'COMPLETE' }, usage: { totalTokens: 3 } })
    }
    expect(house.reads.length).toBeLessThanOrEqual(8)
  })
})
