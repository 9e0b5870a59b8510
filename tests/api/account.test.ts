import { randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Identity } from '../../server/guards/identity.ts'
import { authSecret, signToken, startApp, type TestApp } from '../support/app.ts'
import { gql, openSocket, post, signIn, type Person } from '../support/clients.ts'
import { createSession, join, mutate, send } from '../support/operations.ts'
import { storageKinds } from '../support/storages.ts'
import { openStream } from '../http/eventStream.ts'

const follow = `subscription ($sessionId: ID!) { sessionEvents(sessionId: $sessionId, after: 0) { __typename sessionId } }`
/** A second is promised; a busy machine may add to it. */
const soonMs = 5_000

describe.each(storageKinds)('an account on %s', (storage) => {
  let app: TestApp
  beforeAll(async () => void (app = await startApp({ storage })))
  afterAll(() => app?.stop())

  const rename = (by: Person, name: string) =>
    mutate<{ viewer: { name: string } }>(app, by, 'updateViewer', { name }, 'viewer { id name isAdmin }')
  const remove = (by: Person, name = by.name) => mutate<{ userId: string }>(app, by, 'deleteViewer', { name }, 'userId')
  const nameOf = async (by: Person) =>
    (await gql<{ viewer: { name: string } }>(app, '{ viewer { name } }', {}, by)).viewer.name
  const status = async ({ token }: Person) => (await post(app, '{ viewer { id } }', {}, { token })).status
  const fromOutside = async (name: string, sub = randomUUID()): Promise<Person> => {
    const token = await signToken({ sub, name })
    const { viewer } = await gql<{ viewer: { id: string } }>(app, '{ viewer { id } }', {}, { token })
    return { id: viewer.id, name, token }
  }

  describe('that is renamed', () => {
    it('has the new name at once, over open sockets and for others, and keeps it against its token', async () => {
      const [ada, bob] = [await signIn(app, 'Ada'), await signIn(app, 'Bob')]
      const sessionId = await createSession(app, ada)
      await join(app, ada, bob, sessionId)
      const socket = await openSocket(app, { token: ada.token })
      expect(await rename(ada, '  Countess \n')).toMatchObject({ viewer: { id: ada.id, name: 'Countess' } })
      expect(await nameOf(ada)).toBe('Countess')
      socket.subscribe('1', '{ viewer { name } node(id: "' + ada.id + '") { ... on User { name } } }')
      expect((await socket.nextOf('1')).payload).toEqual({
        data: { viewer: { name: 'Countess' }, node: { name: 'Countess' } },
      })
      await socket.close()
      const { session } = await gql<{ session: { owner: object } }>(
        app,
        'query ($id: ID!) { session(id: $id) { owner { name } participants { user { name } } } }',
        { id: sessionId },
        bob,
      )
      expect(session).toEqual({
        owner: { name: 'Countess' },
        participants: [{ user: { name: 'Countess' } }, { user: { name: 'Bob' } }],
      })
      // a node that never saw the token reads its old name in it
      const { config, storage: stored } = app.services
      const elsewhere = new Identity(config, stored, Buffer.from(authSecret))
      expect((await elsewhere.verify(ada.token)).user).toMatchObject({ id: ada.id, name: 'Countess' })
      expect(await nameOf(ada)).toBe('Countess')
    })

    it('is shown to those who follow a session of theirs', async () => {
      const [ada, bob] = [await signIn(app, 'Ada'), await signIn(app, 'Bob')]
      const sessionId = await createSession(app, ada)
      await join(app, ada, bob, sessionId)
      const socket = await openSocket(app, { token: ada.token })
      socket.subscribe(
        '1',
        `subscription ($id: ID!) { sessionEvents(sessionId: $id) { ... on PresenceChanged {
           isOnline user { name } participant { id role user { name } } } } }`,
        { id: sessionId },
      )
      await socket.roundTrip()
      await expect.poll(() => app.services.log.followedSessions().includes(sessionId)).toBe(true)
      await rename(bob, 'Robert')
      const told = { name: 'Robert' }
      const shown = {
        isOnline: false,
        user: told,
        participant: { id: `${sessionId}:${bob.id}`, role: 'MEMBER', user: told },
      }
      const frames = await socket.until('1', ({ raw }) => raw.includes('Robert'))
      expect(frames.at(-1)!.payload).toEqual({ data: { sessionEvents: shown } })
      await socket.close()
    })

    it('keeps its name where the identity provider says another one later, unlike one that was never renamed', async () => {
      const sub = randomUUID()
      const before = await fromOutside('As the provider says', sub)
      expect(await nameOf(await fromOutside('Otherwise', sub))).toBe('Otherwise')
      await rename(before, 'As they say')
      expect(await nameOf(await fromOutside('Otherwise again', sub))).toBe('As they say')
    })

    it.each(['', '  ', 'x'.repeat(101), 'a\0b'])('is not by a name like %j', async (name) => {
      const ada = await signIn(app, 'Ada')
      expect(await rename(ada, name)).toMatchObject({ __typename: 'InvalidInputError', code: 'INVALID_INPUT' })
      expect(await nameOf(ada)).toBe('Ada')
    })
  })

  describe('that is deleted', () => {
    it('takes its own sessions along, tells their followers, and leaves what it said elsewhere without its name', async () => {
      const [ada, bob] = [await signIn(app, 'Ada the First'), await signIn(app, 'Bob')]
      const [own, bobs] = [await createSession(app, ada), await createSession(app, bob)]
      await join(app, ada, bob, own)
      await join(app, bob, ada, bobs)
      const { sentId } = await send(app, ada, bobs, 'words that stay', { respond: false })
      await send(app, ada, own, 'words that go [[tokens=5000 rate=50]]')
      const socket = await openSocket(app, { token: bob.token })
      socket.subscribe('own', follow, { sessionId: own })
      socket.subscribe('bobs', follow, { sessionId: bobs })
      socket.subscribe(
        'list',
        'subscription { viewerEvents { __typename ... on SessionUnlisted { sessionId } ... on SessionChanged { session { id } } } }',
      )
      await socket.roundTrip()

      expect(await remove(ada)).toEqual({ __typename: 'DeleteViewerSuccess', userId: ada.id })
      const ended = await socket.until('own', ({ type }) => type === 'complete')
      expect(ended.some(({ raw }) => raw.includes('SessionDeleted'))).toBe(true)
      await socket.until('bobs', ({ raw }) => raw.includes('ParticipantLeft'))
      await socket.until('list', ({ raw }) => raw.includes('SessionUnlisted') && raw.includes(own))
      await socket.close()

      const { session, message, node } = await gql<{ session: object; message: object; node: unknown }>(
        app,
        `query ($session: ID!, $message: ID!, $user: ID!) {
           session(id: $session) { messageCount participants { user { name } } }
           message(id: $message) { content author { id name } }
           node(id: $user) { id } }`,
        { session: bobs, message: sentId, user: ada.id },
        bob,
      )
      expect(session).toEqual({ messageCount: 1, participants: [{ user: { name: 'Bob' } }] })
      expect(message).toEqual({ content: 'words that stay', author: { id: ada.id, name: 'Deleted user' } })
      expect(node).toBeNull()
      const { read } = app.services.storage
      expect(await read.all(`SELECT id FROM sessions WHERE id = ?`, [own])).toEqual([])
      const everything = await Promise.all(
        ['users', 'sessions', 'participants', 'deleted_accounts'].map((table) => read.all(`SELECT * FROM ${table}`)),
      )
      expect(JSON.stringify(everything)).not.toContain('Ada the First')
    })

    it('ends its tokens and keys at once and for good, also for a node that knew neither', async () => {
      const ada = await signIn(app, 'Ada')
      const sessionId = await createSession(app, await signIn(app, 'Eve'))
      const { key } = await mutate<{ key: string }>(
        ...([app, ada, 'createApiKey', { name: 'script', scopes: ['READ', 'WRITE'] }, 'key'] as const),
      )
      const program = { ...ada, token: key! }
      const own = await createSession(app, program)
      const [byToken, byKey] = [await openSocket(app, ada), await openSocket(app, program)]
      const stream = await openStream(app, { token: ada.token, query: follow, variables: { sessionId: own } })

      expect(await remove(ada)).toMatchObject({ userId: ada.id })
      const at = performance.now()
      expect([(await byToken.closed).code, (await byKey.closed).code]).toEqual([4403, 4403])
      await stream.rest()
      expect(performance.now() - at).toBeLessThan(soonMs)
      expect([await status(ada), await status(program)]).toEqual([401, 401])
      expect(
        (
          await post(
            app,
            'mutation ($id: ID!) { leaveSession(input: { sessionId: $id }) { __typename } }',
            { id: sessionId },
            ada,
          )
        ).status,
      ).toBe(401)
      const elsewhere = new Identity(app.services.config, app.services.storage, Buffer.from(authSecret))
      for (const { token } of [ada, program])
        await expect(elsewhere.verify(token)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
      // nor does trying make the account anew
      const [row] = await app.services.storage.read.all(`SELECT name FROM users WHERE id = ?`, [ada.id])
      expect(row).toEqual({ name: 'Deleted user' })
    })

    it('of an identity provider is a new one once a later token comes, and never by an earlier one', async () => {
      const sub = randomUUID()
      const sign = (iat?: number) => {
        const token = new SignJWT({ name: 'Ada' }).setProtectedHeader({ alg: 'HS256' }).setSubject(sub)
        if (iat) token.setIssuedAt(iat)
        return token.setExpirationTime('1h').sign(Buffer.from(authSecret))
      }
      const now = Math.floor(Date.now() / 1000)
      const ask = async (token: string) =>
        (await post<{ viewer: { id: string; name: string } }>(app, '{ viewer { id name } }', {}, { token })).body
      const first = { ...(await ask(await sign(now))).data!.viewer, token: await sign(now) }
      expect(first.id).toBe(sub)
      expect(await remove(first)).toMatchObject({ userId: first.id })
      for (const early of [await sign(now), await sign(now - 100), await sign()])
        expect((await ask(early)).errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }])
      const later = (await ask(await sign(now + 60))).data!.viewer
      expect(later.name).toBe('Ada')
      expect(later.id).not.toBe(first.id)
      // and that one can be deleted as well
      expect(await remove({ ...later, token: await sign(now + 60) })).toMatchObject({ userId: later.id })
    })

    it.each(['', 'Eve', 'ada', 'Ada Lovelace'])('is not where %j is said to be its name', async (name) => {
      const ada = await signIn(app, 'Ada')
      expect(await remove(ada, name)).toMatchObject({ __typename: 'InvalidInputError', code: 'INVALID_INPUT' })
      expect(await status(ada)).toBe(200)
    })

    it('is not by an API key, whatever its scopes', async () => {
      const ada: Person = await fromOutside('Root').then(async (of) => ({
        ...of,
        token: await signToken({ sub: of.id, name: 'Root', admin: true }),
      }))
      const { key } = await mutate<{ key: string }>(
        ...([app, ada, 'createApiKey', { name: 'x', scopes: ['READ', 'WRITE', 'ADMIN'] }, 'key'] as const),
      )
      expect(await remove({ ...ada, token: key! })).toMatchObject({ __typename: 'ForbiddenError', code: 'FORBIDDEN' })
      expect(await status(ada)).toBe(200)
    })

    it('leaves nothing of itself behind, whatever else it does in that moment', async () => {
      const bob = await signIn(app, 'Bob')
      const bobs = await createSession(app, bob)
      for (let round = 0; round < 5; round++) {
        const ada = await signIn(app, `Ada ${round}`)
        for (let count = 0; count < 3; count++) await createSession(app, ada)
        const { token: invitation } = await mutate<{ token: string }>(
          ...([app, bob, 'inviteToSession', { sessionId: bobs }, 'token'] as const),
        )
        const attempts = [
          remove(ada),
          remove(ada),
          ...Array.from({ length: 5 }, () => createSession(app, ada)),
          mutate(app, ada, 'joinSession', { token: invitation! }),
          mutate(app, ada, 'createApiKey', { name: 'late', scopes: ['READ'] }),
          rename(ada, 'Late'),
        ]
        await Promise.allSettled(attempts)
        expect(await status(ada)).toBe(401)
        const { read } = app.services.storage
        expect(await read.all(`SELECT * FROM participants WHERE user_id = ?`, [ada.id])).toEqual([])
        expect(await read.all(`SELECT * FROM sessions WHERE owner_id = ?`, [ada.id])).toEqual([])
        expect(await read.all(`SELECT * FROM api_keys WHERE user_id = ? AND revoked_at IS NULL`, [ada.id])).toEqual([])
        expect(await read.all(`SELECT name FROM users WHERE id = ?`, [ada.id])).toEqual([{ name: 'Deleted user' }])
      }
      expect(app.logged.filter(({ level }) => level === 'error')).toEqual([])
    })
  })
})
