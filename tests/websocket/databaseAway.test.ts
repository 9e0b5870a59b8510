import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { DatabaseAwayError } from '../../server/storage/databaseAway.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { openSocket, signIn, type Person } from '../support/clients.ts'
import { createSession } from '../support/operations.ts'
import { insertMessage } from '../support/rows.ts'

let app: TestApp
let ada: Person
beforeAll(async () => {
  app = await startApp()
  ada = await signIn(app)
})
afterAll(() => app?.stop())

const fields = '__typename seq ... on MessageAdded { message { content } }'
const documents = {
  shared: `subscription ($sessionId: ID!, $after: Int) {
    sessionEvents(sessionId: $sessionId, after: $after) { ${fields} } }`,
  // executed for itself, since its root field stands behind a fragment
  unshared: `subscription ($sessionId: ID!, $after: Int) { ... Root }
    fragment Root on Subscription { sessionEvents(sessionId: $sessionId, after: $after) { ${fields} } }`,
}

test.each(Object.entries(documents))(
  'an event that can’t be read now ends a %s subscription, and comes once it is resumed',
  async (_name, document) => {
    const sessionId = await createSession(app, ada)
    const socket = await openSocket(app, { token: ada.token })
    const { storage, log } = app.services
    socket.subscribe('1', document, { sessionId, after: 0 })
    await storage.transaction((tx) => log.append(tx, sessionId, [{ kind: 'SessionUpdated' }]))
    expect((await socket.nextOf('1')).payload).toMatchObject({ data: { sessionEvents: { seq: 1 } } })

    const all = storage.read.all.bind(storage.read)
    const reading = vi
      .spyOn(storage.read, 'all')
      .mockImplementation((sql, params) =>
        sql.includes('FROM messages') ? Promise.reject(new DatabaseAwayError('no route')) : all(sql, params),
      )
    try {
      await insertMessage(storage, log, { sessionId, logId: 0, ownerId: ada.id }, { content: 'Only later' })
      const frames = await socket.until('1', ({ type }) => type === 'complete')
      expect(frames).toMatchObject([
        { type: 'next', payload: { errors: [{ extensions: { code: 'INTERNAL' } }] } },
        { type: 'complete' },
      ])
      expect(frames[0]!.payload).not.toHaveProperty('data')
    } finally {
      reading.mockRestore()
    }
    socket.subscribe('2', document, { sessionId, after: 1 })
    expect((await socket.nextOf('2')).payload).toEqual({
      data: { sessionEvents: { __typename: 'MessageAdded', seq: 2, message: { content: 'Only later' } } },
    })
    await socket.close()
  },
)
