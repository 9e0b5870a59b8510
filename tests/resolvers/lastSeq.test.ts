import { graphql } from 'graphql'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import type { User } from '../../server/entities/user.ts'
import { readLog } from '../../server/log/read.ts'
import { changeParticipantRole } from '../../server/resolvers/participants.ts'
import { sendMessage } from '../../server/resolvers/sendMessage.ts'
import { updateSession } from '../../server/resolvers/updateSession.ts'
import { schema } from '../../server/schema/schema.ts'
import type { SessionRow } from '../../server/storage/rows.ts'
import { databases, openHouse, type House } from './house.ts'

const fields = `... on Session {
  title isArchived messageCount metadata settings { temperature } model { id }
  participants { role user { id } }
  messages(last: 5) { totalCount edges { node { content } } }
  lastSeq
}`

interface Seen {
  title: string
  messageCount: number
  settings: { temperature: number | null }
  metadata: unknown
  isArchived: boolean
  participants: { role: string; user: { id: string } }[]
  messages: { totalCount: number; edges: { node: { content: string } }[] }
  lastSeq: number
}

/** Wherever a session can be read, and where it stands in the answer. */
const ways: [string, string, (data: never) => Seen][] = [
  ['session', `query ($id: ID!) { session(id: $id) { ${fields} } }`, (data: { session: Seen }) => data.session],
  ['node', `query ($id: ID!) { node(id: $id) { ${fields} } }`, (data: { node: Seen }) => data.node],
  [
    'the list of sessions',
    `{ sessions(first: 1) { edges { node { ${fields} } } } }`,
    (data: { sessions: { edges: { node: Seen }[] } }) => data.sessions.edges[0]!.node,
  ],
  [
    'the result of a mutation',
    `mutation ($id: ID!) { updateSession(input: { sessionId: $id, title: "mine" }) {
      ... on UpdateSessionSuccess { session { ...Fields } } } } fragment Fields on Session { ${fields} }`,
    (data: { updateSession: { session: Seen } }) => data.updateSession.session,
  ],
]

describe.each(databases)('lastSeq on %s', (database) => {
  let house: House
  let ada: User
  let bob: User
  let session: SessionRow
  beforeAll(async () => {
    house = await openHouse(database)
    ;[ada, bob] = [await house.user('Ada'), await house.user('Bob')]
  })
  afterAll(() => house.close())

  /** Lets `change` happen before the position is read, and behind all that was read until then. */
  function changeBeforePosition(change: () => Promise<unknown>): void {
    const { storage } = house.services
    const snapshot = storage.snapshot.bind(storage)
    const spy = vi.spyOn(storage, 'snapshot').mockImplementation(async (statements) => {
      spy.mockRestore()
      // what is asked at the same time is answered first
      await new Promise((resolve) => setTimeout(resolve, 20))
      await change()
      return snapshot(statements)
    })
    onTestFinished(() => spy.mockRestore())
  }

  test.each(ways)('of %s is of the moment of all that is read with it', async (_way, source, seenIn) => {
    session = await house.session(ada, 'before')
    await house.join(session, bob, 'MEMBER')
    const sessionId = session.id
    changeBeforePosition(async () => {
      await sendMessage(house.ctx(bob), { sessionId, content: 'just now', respond: false })
      await updateSession(house.ctx(ada), {
        sessionId,
        ...{ title: 'after', isArchived: true, metadata: { is: 'new' }, settings: { temperature: 0.5 } },
      })
      await changeParticipantRole(house.ctx(ada), { sessionId, userId: bob.id, role: 'VIEWER' })
    })
    const { data, errors } = await graphql({
      ...{ schema, source, variableValues: { id: sessionId }, contextValue: house.ctx(ada) },
    })
    expect(errors).toBeUndefined()
    expect(seenIn(data as never)).toMatchObject({
      lastSeq: (await readLog(house.services.storage, sessionId))!.lastSeq,
      ...{ title: 'after', isArchived: true, metadata: { is: 'new' }, settings: { temperature: 0.5 }, messageCount: 1 },
      participants: expect.arrayContaining([{ role: 'VIEWER', user: { id: bob.id } }]),
      messages: { totalCount: 1, edges: [{ node: { content: 'just now' } }] },
    })
  })

  test('costs no statement more, and nothing where it is not asked for', async () => {
    session = await house.session(ada, 'counted')
    const count = async (source: string): Promise<number> => {
      house.reads.length = 0
      const { errors } = await graphql({
        ...{ schema, source, variableValues: { id: session.id }, contextValue: house.ctx(ada) },
      })
      expect(errors).toBeUndefined()
      return house.reads.length
    }
    expect(await count('query ($id: ID!) { session(id: $id) { title messages(last: 50) { totalCount } } }')).toBe(2)
    expect(
      await count('query ($id: ID!) { session(id: $id) { title messages(last: 50) { totalCount } lastSeq } }'),
    ).toBe(3)
  })
})
