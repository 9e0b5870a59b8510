import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { gql, openSocket, post, signIn, type Person } from '../support/clients.ts'
import { countRows } from '../support/counts.ts'
import { text } from '../support/fakeModelServer.ts'
import { createSession, join, mutate, readMessage, send } from '../support/operations.ts'
import { storageKinds } from '../support/storages.ts'

interface Session {
  id: string
  title: string
  isArchived: boolean
  owner: { id: string }
  participants: { role: string; user: { id: string; name: string } }[]
}

describe.each(storageKinds)('two people on %s', (storage) => {
  let app: TestApp
  let ada: Person
  let bob: Person
  beforeAll(async () => {
    app = await startApp({ storage, env: { MAX_SOCKETS_PER_USER: '1000' } })
    ada = await signIn(app, 'Ada')
    bob = await signIn(app, 'Bob')
  })
  afterAll(() => app?.stop())

  const readSession = async (id: string, by: Person): Promise<Session | null> =>
    (
      await gql<{ session: Session | null }>(
        app,
        'query ($id: ID!) { session(id: $id) { id title isArchived owner { id } participants { role user { id name } } } }',
        { id },
        by,
      )
    ).session
  const invite = async (sessionId: string, more: Record<string, unknown> = {}): Promise<string> =>
    (await mutate<{ token: string }>(app, ada, 'inviteToSession', { sessionId, ...more }, 'token')).token!

  it('share a session from the invitation to the leaving', async () => {
    const id = await createSession(app, ada, { title: 'Ours' })
    expect(await readSession(id, bob)).toBeNull()
    const token = await invite(id)
    expect(await mutate(app, bob, 'joinSession', { token })).toMatchObject({ __typename: 'JoinSessionSuccess' })
    expect(await readSession(id, bob)).toEqual({
      id,
      title: 'Ours',
      isArchived: false,
      owner: { id: ada.id },
      participants: [
        { role: 'OWNER', user: { id: ada.id, name: 'Ada' } },
        { role: 'MEMBER', user: { id: bob.id, name: 'Bob' } },
      ],
    })
    const { replyId } = await send(app, bob, id, 'from Bob [[tokens=4]]')
    const socket = await openSocket(app, { token: ada.token })
    socket.subscribe('1', 'subscription ($id: ID!) { messageDeltas(messageId: $id) { seq } }', { id: replyId })
    await socket.until('1', ({ type }) => type === 'complete')
    await socket.close()
    for (const person of [ada, bob]) expect((await readMessage(app, person, replyId)).content).toBe(text('seed', 4))

    for (const [name, input] of [
      ['updateSession', { sessionId: id, title: 'Mine' }],
      ['deleteSessions', { sessionIds: [id] }],
      ['inviteToSession', { sessionId: id }],
      ['removeParticipant', { sessionId: id, userId: ada.id }],
      ['changeParticipantRole', { sessionId: id, userId: bob.id, role: 'VIEWER' }],
    ] as const) {
      expect(await mutate(app, bob, name, input), name).toMatchObject({
        __typename: 'ForbiddenError',
        code: 'FORBIDDEN',
      })
    }
    expect(await mutate(app, ada, 'leaveSession', { sessionId: id })).toMatchObject({ __typename: 'ForbiddenError' })
    expect(await mutate(app, bob, 'leaveSession', { sessionId: id })).toMatchObject({
      __typename: 'LeaveSessionSuccess',
    })
    expect(await readSession(id, bob)).toBeNull()
    expect(await readMessage(app, bob, replyId)).toBeNull()
  })

  it('learn nothing of each other where nothing is shared', async () => {
    const id = await createSession(app, ada, { title: 'Secret plans' })
    const { sentId, replyId, generationId } = await send(app, ada, id, 'secret text [[tokens=3]]')
    const before = await countRows(app.services)
    const seen: unknown[] = []
    for (const nodeId of [id, sentId, replyId, generationId])
      seen.push(
        await gql(
          app,
          'query ($id: ID!) { node(id: $id) { id __typename } message(id: $id) { content } session(id: $id) { title } }',
          { id: nodeId },
          bob,
        ),
      )
    for (const answer of seen) expect(answer).toEqual({ node: null, message: null, session: null })
    for (const [name, input] of [
      ['updateSession', { sessionId: id, title: 'x' }],
      ['deleteSessions', { sessionIds: [id] }],
      ['inviteToSession', { sessionId: id }],
      ['leaveSession', { sessionId: id }],
      ['removeParticipant', { sessionId: id, userId: ada.id }],
      ['changeParticipantRole', { sessionId: id, userId: ada.id, role: 'VIEWER' }],
      ['stopGeneration', { generationId }],
      ['setTyping', { sessionId: id, isTyping: true }],
    ] as const) {
      const [foreign, unknown] = [
        await mutate(app, bob, name, input),
        await mutate(app, bob, name, {
          ...input,
          ...('sessionId' in input ? { sessionId: randomUUID() } : {}),
          ...('sessionIds' in input ? { sessionIds: [randomUUID()] } : {}),
          ...('generationId' in input ? { generationId: randomUUID() } : {}),
        }),
      ]
      expect(foreign, name).toMatchObject({ __typename: 'NotFoundError', code: 'NOT_FOUND' })
      expect(foreign, name).toEqual(unknown)
    }
    const { sessions } = await gql<{ sessions: { edges: { node: { id: string } }[] } }>(
      app,
      '{ sessions(first: 200) { edges { node { id } } } }',
      {},
      bob,
    )
    expect(sessions.edges.map(({ node }) => node.id)).not.toContain(id)
    expect((await countRows(app.services)).participants).toBe(before.participants)
    expect(await readSession(id, ada)).toMatchObject({ title: 'Secret plans' })
  })

  it('who reads only may not write, type or stop, and may once the role is another', async () => {
    const id = await createSession(app, ada)
    await join(app, ada, bob, id, 'VIEWER')
    const { generationId } = await send(app, ada, id, 'x [[tokens=2 stall=1]]')
    for (const [name, input] of [
      ['setTyping', { sessionId: id, isTyping: true }],
      ['stopGeneration', { generationId }],
    ] as const)
      expect(await mutate(app, bob, name, input), name).toMatchObject({ __typename: 'ForbiddenError' })
    await mutate(app, ada, 'changeParticipantRole', { sessionId: id, userId: bob.id, role: 'MEMBER' })
    expect(await mutate(app, bob, 'stopGeneration', { generationId })).toMatchObject({
      __typename: 'StopGenerationSuccess',
    })
  })

  it('who is removed reads nothing more, and comes back by an invitation only', async () => {
    const id = await createSession(app, ada)
    await join(app, ada, bob, id)
    expect(
      await mutate(
        app,
        ada,
        'removeParticipant',
        { sessionId: id, userId: bob.id },
        'session { participants { role } }',
      ),
    ).toMatchObject({ session: { participants: [{ role: 'OWNER' }] } })
    expect(await readSession(id, bob)).toBeNull()
    expect(await mutate(app, ada, 'removeParticipant', { sessionId: id, userId: bob.id })).toMatchObject({
      code: 'NOT_FOUND',
    })
    await join(app, ada, bob, id, 'VIEWER')
    expect((await readSession(id, bob))!.participants.at(-1)).toMatchObject({ role: 'VIEWER' })
  })

  it.each([
    ['OWNER', { role: 'OWNER' }],
    ['no time', { expiresInSeconds: 0 }],
    ['no use', { maxUses: 0 }],
  ])('are not invited for %s', async (_what, input) => {
    const id = await createSession(app, ada)
    const before = await countRows(app.services)
    expect(await mutate(app, ada, 'inviteToSession', { sessionId: id, ...input })).toMatchObject({
      code: 'INVALID_INPUT',
    })
    expect(await countRows(app.services)).toEqual(before)
  })

  it('stop an answer and keep what had arrived; the provider is not read on', async () => {
    const id = await createSession(app, ada)
    const { replyId, generationId } = await send(app, ada, id, 'stopped soon [[tokens=9 stall=4]]')
    const socket = await openSocket(app, { token: ada.token })
    socket.subscribe('1', 'subscription ($id: ID!) { messageDeltas(messageId: $id) { offset text } }', { id: replyId })
    let content = ''
    while (content !== text('seed', 4))
      content += ((await socket.nextOf('1')).payload as { data: { messageDeltas: { text: string } } }).data
        .messageDeltas.text
    const stopped = await mutate(
      app,
      ada,
      'stopGeneration',
      { generationId },
      'generation { status endedAt responseTimeMs message { status content error { code } } }',
    )
    const request = app.fake.requests.find(({ body }) => body.messages.at(-1)!.content.startsWith('stopped soon'))!
    // our end of the socket is closed by now, and the other end hears of it without anything else being done
    await request.closed
    expect(request).toMatchObject({ wasAborted: true, sent: 4 })
    expect(stopped).toMatchObject({
      generation: { status: 'STOPPED', message: { status: 'STOPPED', content: text('seed', 4) } },
    })
    await socket.until('1', ({ type }) => type === 'complete')
    await socket.close()
    const again = await mutate<{ generation: object }>(
      app,
      ada,
      'stopGeneration',
      { generationId },
      'generation { status endedAt responseTimeMs message { status content error { code } } }',
    )
    expect(again).toEqual(stopped)
  })

  it('delete all or none', async () => {
    const [one, two] = [await createSession(app, ada), await createSession(app, ada)]
    const foreign = await createSession(app, bob)
    await send(app, ada, one, 'x [[tokens=2]]')
    for (const sessionIds of [
      [one, two, foreign],
      [one, randomUUID()],
      [one, 'x'],
    ])
      expect(await mutate(app, ada, 'deleteSessions', { sessionIds })).toMatchObject({ code: 'NOT_FOUND' })
    expect(await mutate(app, ada, 'deleteSessions', { sessionIds: [] })).toMatchObject({ code: 'INVALID_INPUT' })
    expect(await readSession(one, ada)).not.toBeNull()
    expect(await mutate(app, ada, 'deleteSessions', { sessionIds: [one, two] }, 'sessionIds')).toMatchObject({
      sessionIds: [one, two],
    })
    for (const id of [one, two]) expect(await readSession(id, ada)).toBeNull()
    expect(await readSession(foreign, bob)).not.toBeNull()
  })

  it('are counted in the statistics of what they may read', async () => {
    const cleo = await signIn(app, 'Cleo')
    const statsOf = async (by: Person) =>
      (
        await gql<{ stats: Record<string, unknown> }>(
          app,
          '{ stats { totalSessions totalMessages activeSessions messagesToday errorRate mostUsedModel mostUsedProvider usage { completionTokens isEstimated } } }',
          {},
          by,
        )
      ).stats
    expect(await statsOf(cleo)).toMatchObject({ totalSessions: 0, totalMessages: 0, mostUsedModel: null, errorRate: 0 })
    const id = await createSession(app, cleo)
    const { replyId } = await send(app, cleo, id, 'x [[tokens=7]]')
    const socket = await openSocket(app, { token: cleo.token })
    socket.subscribe('1', 'subscription ($id: ID!) { messageDeltas(messageId: $id) { seq } }', { id: replyId })
    await socket.until('1', ({ type }) => type === 'complete')
    await socket.close()
    expect(await statsOf(cleo)).toEqual({
      totalSessions: 1,
      totalMessages: 2,
      activeSessions: 1,
      messagesToday: 2,
      errorRate: 0,
      mostUsedModel: 'local/fake',
      mostUsedProvider: 'local',
      usage: { completionTokens: 7, isEstimated: false },
    })
    const all = await post(app, '{ stats(scope: ALL) { totalSessions } }', {}, cleo)
    expect(all.body.errors?.[0]?.extensions?.code).toBe('FORBIDDEN')
  })

  it('find everything of theirs by its id', async () => {
    const id = await createSession(app, ada)
    const { sentId, replyId, generationId } = await send(app, ada, id, 'x [[tokens=2]]')
    for (const [nodeId, type] of [
      [id, 'Session'],
      [sentId, 'Message'],
      [replyId.toUpperCase(), 'Message'],
      [generationId, 'Generation'],
      [ada.id, 'User'],
    ] as const) {
      const { node } = await gql(app, 'query ($id: ID!) { node(id: $id) { id __typename } }', { id: nodeId }, ada)
      expect(node).toEqual({ id: nodeId.toLowerCase(), __typename: type })
    }
  })

  it('nothing of all this was an error of the server', () => {
    expect(app.logged.filter(({ level }) => level === 'error')).toEqual([])
  })
})
