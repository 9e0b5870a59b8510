import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { gql, openSocket, signIn, type Person } from '../support/clients.ts'
import { createSession, join, mutate, trySend } from '../support/operations.ts'
import { storageKinds } from '../support/storages.ts'

describe.each(storageKinds)('a session that is handed over on %s', (storage) => {
  let app: TestApp
  let ada: Person
  let bob: Person
  let eve: Person
  beforeAll(async () => {
    app = await startApp({ storage })
    ;[ada, bob, eve] = await Promise.all([signIn(app, 'Ada'), signIn(app, 'Bob'), signIn(app, 'Eve')])
  })
  afterAll(() => app?.stop())

  const transfer = (by: Person, sessionId: string, to: Person | string) =>
    mutate<{ session: { owner: { id: string }; viewerRole: string } }>(
      ...([app, by, 'transferSession'] as const),
      { sessionId, userId: typeof to === 'string' ? to : to.id },
      'session { id owner { id } viewerRole lastSeq }',
    )
  const shared = async (): Promise<string> => {
    const sessionId = await createSession(app, ada)
    await join(app, ada, bob, sessionId)
    await join(app, ada, eve, sessionId, 'VIEWER')
    return sessionId
  }
  const rolesIn = async (sessionId: string) => {
    const rows = await app.services.storage.read.all<{ id: string; role: string }>(
      `SELECT user_id AS id, role FROM participants WHERE session_id = ?`,
      [sessionId],
    )
    return Object.fromEntries(rows.map(({ id, role }) => [id, role]))
  }

  it.each(['member', 'viewer'])('has a %s as its owner, and the former one as a member', async (role) => {
    const sessionId = await shared()
    const to = role === 'member' ? bob : eve
    const socket = await openSocket(app, { token: ada.token })
    socket.subscribe(
      '1',
      `subscription ($id: ID!) { sessionEvents(sessionId: $id) { __typename seq
         ... on ParticipantChanged { participant { role user { id } } } ... on SessionUpdated { session { owner { id } viewerRole } } } }`,
      { id: sessionId },
    )
    await socket.roundTrip()
    await expect.poll(() => app.services.log.followedSessions().includes(sessionId)).toBe(true)
    expect(await transfer(ada, sessionId, to)).toMatchObject({
      __typename: 'TransferSessionSuccess',
      session: { id: sessionId, owner: { id: to.id }, viewerRole: 'MEMBER' },
    })
    const frames = await socket.until('1', ({ raw }) => raw.includes('SessionUpdated'))
    const told = frames
      .map(({ payload }) => (payload as { data: { sessionEvents: { seq: number | null } } }).data.sessionEvents)
      .filter(({ seq }) => seq !== null)
    expect(told).toMatchObject([
      { __typename: 'ParticipantChanged', participant: { role: 'MEMBER', user: { id: ada.id } } },
      { __typename: 'ParticipantChanged', participant: { role: 'OWNER', user: { id: to.id } } },
      { __typename: 'SessionUpdated', session: { owner: { id: to.id }, viewerRole: 'MEMBER' } },
    ])
    await socket.close()
    const { [ada.id]: former, [to.id]: now } = await rolesIn(sessionId)
    expect([former, now]).toEqual(['MEMBER', 'OWNER'])
    // the rights went with it
    for (const refused of [
      await mutate(app, ada, 'updateSession', { sessionId, title: 'Mine' }),
      await mutate(app, ada, 'deleteSessions', { sessionIds: [sessionId] }),
      await mutate(app, ada, 'inviteToSession', { sessionId }),
      await mutate(app, ada, 'removeParticipant', { sessionId, userId: to.id }),
      await mutate(app, to, 'leaveSession', { sessionId }),
    ])
      expect(refused).toMatchObject({ __typename: 'ForbiddenError' })
    expect(await trySend(app, ada, { sessionId, content: 'Still here', respond: false })).toMatchObject({
      __typename: 'SendMessageSuccess',
    })
    expect(await mutate(app, to, 'updateSession', { sessionId, title: 'Mine' })).toMatchObject({
      __typename: 'UpdateSessionSuccess',
    })
    expect(await mutate(app, ada, 'leaveSession', { sessionId })).toMatchObject({ __typename: 'LeaveSessionSuccess' })
  })

  it('is so only by its owner, to somebody else who takes part in it', async () => {
    const sessionId = await shared()
    const before = await rolesIn(sessionId)
    const stranger = await signIn(app, 'Stranger')
    const cases = [
      [bob, bob, 'ForbiddenError'],
      [bob, eve, 'ForbiddenError'],
      [eve, bob, 'ForbiddenError'],
      [stranger, bob, 'NotFoundError'],
      [ada, stranger, 'NotFoundError'],
      [ada, randomUUID(), 'NotFoundError'],
      [ada, 'nobody', 'NotFoundError'],
      [ada, ada, 'InvalidInputError'],
    ] as const
    for (const [by, to, wanted] of cases)
      expect(await transfer(by, sessionId, to)).toMatchObject({ __typename: wanted })
    expect(await rolesIn(sessionId)).toEqual(before)
  })

  it('has one owner who takes part in it, whatever else is done at once', async () => {
    for (let round = 0; round < 10; round++) {
      const sessionId = await shared()
      await Promise.all([
        transfer(ada, sessionId, bob),
        transfer(ada, sessionId, eve),
        mutate(app, bob, 'leaveSession', { sessionId }),
        mutate(app, ada, 'removeParticipant', { sessionId, userId: eve.id }),
        mutate(app, ada, 'changeParticipantRole', { sessionId, userId: bob.id, role: 'VIEWER' }),
        mutate(app, ada, 'updateSession', { sessionId, title: 'Mine' }),
      ])
      const owners = Object.entries(await rolesIn(sessionId)).filter(([, role]) => role === 'OWNER')
      expect(owners).toHaveLength(1)
      const [row] = await app.services.storage.read.all(`SELECT owner_id AS "ownerId" FROM sessions WHERE id = ?`, [
        sessionId,
      ])
      expect(row).toEqual({ ownerId: owners[0]![0] })
    }
    expect(app.logged).toEqual([])
  })

  it('is told as what it is to each of those who look at it', async () => {
    const sessionId = await shared()
    const document =
      'query ($id: ID!) { session(id: $id) { viewerRole } sessions { nodes { id viewerRole } edges { node { id } } } }'
    for (const [by, viewerRole] of [
      [ada, 'OWNER'],
      [bob, 'MEMBER'],
      [eve, 'VIEWER'],
    ] as const) {
      const { session, sessions } = await gql<{
        session: object
        sessions: { nodes: { id: string }[]; edges: { node: { id: string } }[] }
      }>(...([app, document, { id: sessionId }, by] as const))
      expect(session).toEqual({ viewerRole })
      expect(sessions.nodes.find(({ id }) => id === sessionId)).toEqual({ id: sessionId, viewerRole })
      expect(sessions.nodes.map(({ id }) => id)).toEqual(sessions.edges.map(({ node }) => node.id))
    }
  })

  it('shows each follower of it their own role, though they ask the same', async () => {
    const sessionId = await shared()
    const document = `subscription ($id: ID!) { sessionEvents(sessionId: $id) { ... on SessionUpdated { session { viewerRole } } } }`
    const sockets = await Promise.all([ada, bob, eve].map(({ token }) => openSocket(app, { token })))
    for (const socket of sockets) {
      socket.subscribe('1', document, { id: sessionId })
      await socket.roundTrip()
    }
    await mutate(app, ada, 'updateSession', { sessionId, title: 'Seen by all' })
    const shown = await Promise.all(
      sockets.map(async (socket) => (await socket.until('1', ({ raw }) => raw.includes('viewerRole'))).at(-1)!.payload),
    )
    expect(shown).toEqual(
      ['OWNER', 'MEMBER', 'VIEWER'].map((viewerRole) => ({ data: { sessionEvents: { session: { viewerRole } } } })),
    )
    await Promise.all(sockets.map((socket) => socket.close()))
  })
})
