import { randomUUIDv7 } from 'node:crypto'
import { graphql } from 'graphql'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { User } from '../../server/entities/user.ts'
import { schema } from '../../server/schema/schema.ts'
import { insert, type SessionRow } from '../../server/storage/rows.ts'
import { databases, openHouse, type House } from '../resolvers/house.ts'
import { testRandom } from '../support/random.ts'

/** Every field of a message. */
const selections = {
  id: 'id',
  session: 'session { id title }',
  role: 'role',
  type: 'type',
  content: 'content',
  status: 'status',
  author: 'author { id name }',
  parent: 'parent { id content author { name } }',
  model: 'model { id }',
  generation: 'generation { status message { id metadata updatedAt } }',
  usage: 'usage { totalTokens }',
  error: 'error { code }',
  metadata: 'metadata',
  createdAt: 'createdAt',
  updatedAt: 'updatedAt',
}
type Name = keyof typeof selections
const names = Object.keys(selections) as Name[]
type Node = Partial<Record<Name, unknown>>

interface Answer {
  session: Record<string, { edges: { node: Node }[] }>
}

describe.each(databases)('a page of messages on %s', (database) => {
  let house: House
  let ada: User
  let session: SessionRow
  /** Each message as it is by itself, with all its fields. */
  let whole: Node[]

  beforeAll(async () => {
    house = await openHouse(database)
    ada = await house.user('Ada')
    session = await house.session(ada, 'Parts')
    const bob = await house.user('Bob')
    await house.join(session, bob, 'MEMBER')
    const ids = [...(await house.messages(session, ada, 2)), ...(await house.messages(session, bob, 2))]
    await house.services.storage.transaction(async (tx) => {
      for (const [place, id] of ids.entries())
        await tx.run(`UPDATE messages SET parent_id = ?, metadata = ?, updated_at = ? WHERE id = ?`, [
          ...[ids[place - 1] ?? null, JSON.stringify({ place }), new Date(Date.now() + place * 1000), id],
        ])
      await tx.run(
        `UPDATE messages SET role = 'ASSISTANT', author_id = NULL, model = 'demo/demo', status = 'FAILED', type = 'FILE' WHERE id = ?`,
        [ids[3]!],
      )
      const generation = { id: randomUUIDv7(), sessionId: session.id, userId: ada.id, model: 'demo/demo' }
      const now = new Date()
      await insert(tx, 'generations', {
        ...{ ...generation, messageId: ids[3], settings: {}, status: 'FAILED', attempts: 1 },
        ...{ errorCode: 'PROVIDER_ERROR', errorMessage: 'It failed.', ownerNode: generation.id, fence: 1 },
        ...{ leaseUntil: now, startedAt: now, endedAt: now },
      })
    })
    whole = []
    for (const id of ids) {
      const { message } = await ask<{ message: Node }>(
        `{ message(id: "${id}") { ${Object.values(selections).join(' ')} } }`,
      )
      whole.push(message)
    }
  })
  afterAll(() => house.close())

  async function ask<Data>(source: string): Promise<Data> {
    const { data, errors } = await graphql({ schema, source, contextValue: house.ctx(ada) })
    expect(errors, source).toBeUndefined()
    return JSON.parse(JSON.stringify(data)) as Data
  }
  const page = (fields: readonly Name[], args = 'last: 50') =>
    `messages(${args}) { edges { node { ${fields.map((name) => selections[name]).join(' ')} } } }`
  const nodesOf = (answer: Answer, key = 'messages') => answer.session[key]!.edges.map(({ node }) => node)
  const expected = (fields: readonly Name[]) =>
    whole.map((node) => Object.fromEntries(fields.map((name) => [name, node[name]])))

  test('knows every field that there is', () => {
    const message = schema.getType('Message') as unknown as { getFields(): object }
    expect(Object.keys(message.getFields()).sort()).toEqual([...names].sort())
  })

  test.each(names)('has `%s` of its messages where nothing else is asked of them', async (name) => {
    expect(nodesOf(await ask(`{ session(id: "${session.id}") { ${page([name])} } }`))).toEqual(expected([name]))
  })

  test('has any choice of their fields', async () => {
    const random = testRandom()
    for (let round = 0; round < 60; round++) {
      const fields = names.filter(() => random.chance(0.4))
      if (fields.length === 0) continue
      expect(nodesOf(await ask(`{ session(id: "${session.id}") { ${page(fields)} } }`))).toEqual(expected(fields))
    }
  })

  test('has what only another page, a fragment or a nested message asks for', async () => {
    const answer = await ask<Answer>(`
      query { session(id: "${session.id}") {
        one: ${page(['content'])}
        two: ${page(['metadata', 'parent'])}
        three: messages(first: 50) { edges { node { ...Named ... on Node { id } } } }
      } }
      fragment Named on Message { author { name } parent { ...Typed } }
      fragment Typed on Message { type updatedAt }
    `)
    expect(nodesOf(answer, 'one')).toEqual(expected(['content']))
    expect(nodesOf(answer, 'two')).toEqual(expected(['metadata', 'parent']))
    expect(nodesOf(answer, 'three')).toEqual(
      whole.map(({ id, author }, place) => {
        const before = whole[place - 1]
        return {
          author: author && { name: (author as { name: string }).name },
          parent: before ? { type: before.type, updatedAt: before.updatedAt } : null,
          id,
        }
      }),
    )
  })

  test('takes one statement, and one more for all its authors', async () => {
    const count = async (fields: readonly Name[]) => {
      const source = `{ session(id: "${session.id}") { ${page(fields)} } }`
      house.reads.length = 0
      await graphql({ schema, source, contextValue: house.ctx(ada) })
      // the first asks for the right to read
      return house.reads.length - 1
    }
    expect(await count(['content', 'metadata'])).toBe(1)
    expect(await count(['content', 'author'])).toBe(2)
    expect(await count(['parent', 'author'])).toBe(2)
  })
})
