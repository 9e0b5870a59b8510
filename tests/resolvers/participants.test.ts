import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { User } from '../../server/entities/user.ts'
import { ForbiddenError, InvalidInputError, NotFoundError, RateLimitedError } from '../../server/errors.ts'
import { hashInvitation, inviteToSession } from '../../server/resolvers/inviteToSession.ts'
import { joinSession } from '../../server/resolvers/joinSession.ts'
import { node } from '../../server/resolvers/node.ts'
import { changeParticipantRole, leaveSession, removeParticipant } from '../../server/resolvers/participants.ts'
import { session } from '../../server/resolvers/session.ts'
import type { SessionRow } from '../../server/storage/rows.ts'
import { databases, openHouse, type House } from './house.ts'

describe.each(databases)('participants on %s', (database) => {
  let house: House
  let ada: User
  let own: SessionRow
  beforeAll(async () => {
    house = await openHouse(database)
    ada = await house.user('Ada')
    own = await house.session(ada)
  })
  afterAll(() => house.close())

  const invite = async (input: { role?: 'MEMBER' | 'VIEWER'; maxUses?: number | null } = {}) =>
    (await inviteToSession(house.ctx(ada), { sessionId: own.id, role: 'MEMBER', ...input })).token
  const roles = async () =>
    Object.fromEntries(
      (await house.ctx(ada).loaders.participants.load(own.id)).map(({ userId, role }) => [userId, role]),
    )
  const uses = async (token: string) => {
    const sql = 'SELECT uses FROM invitations WHERE token_hash = ?'
    const rows = await house.services.storage.read.all<{ uses: number }>(sql, [hashInvitation(token)])
    return rows[0]!.uses
  }

  test('whoever holds the token joins, and joining again changes nothing and uses nothing', async () => {
    const bob = await house.user('Bob')
    const token = await invite({ maxUses: 1 })
    const before = await house.ctx(ada).loaders.lastSeq(own.id)
    expect((await joinSession(house.ctx(bob), { token })).session.id).toBe(own.id)
    expect((await joinSession(house.ctx(bob), { token })).session.id).toBe(own.id)
    expect(await uses(token)).toBe(1)
    expect(await house.ctx(ada).loaders.lastSeq(own.id)).toBe(before + 1)
    expect(await roles()).toMatchObject({ [bob.id]: 'MEMBER' })
  })

  test('of ten who use a token for three at once, three join', async () => {
    const token = await invite({ maxUses: 3 })
    const people = await Promise.all(Array.from({ length: 10 }, () => house.user()))
    const results = await Promise.allSettled(people.map((user) => joinSession(house.ctx(user), { token })))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
    const reasons = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []))
    for (const reason of reasons) expect(reason).toBeInstanceOf(ForbiddenError)
    expect(await uses(token)).toBe(3)
  })

  test('the higher of two roles stays', async () => {
    const [user, viewer, member] = [await house.user(), await invite({ role: 'VIEWER' }), await invite()]
    await joinSession(house.ctx(user), { token: viewer })
    expect(await roles()).toMatchObject({ [user.id]: 'VIEWER' })
    await joinSession(house.ctx(user), { token: member })
    await joinSession(house.ctx(user), { token: viewer })
    expect(await roles()).toMatchObject({ [user.id]: 'MEMBER' })
    await joinSession(house.ctx(ada), { token: member })
    expect(await roles()).toMatchObject({ [ada.id]: 'OWNER' })
  })

  test('a wrong and an expired token are refused alike, and an address that tries many is stopped', async () => {
    const user = await house.user()
    const token = await invite()
    await house.services.storage.transaction((tx) => tx.run('UPDATE invitations SET expires_at = ?', [new Date(1)]))
    const attempt = (token: string, address: string) =>
      joinSession(house.ctx(user, address), { token }).catch((error: unknown) => error as Error)
    const [expired, wrong] = [await attempt(token, '10.0.0.1'), await attempt('x', '10.0.0.1')]
    expect(expired).toBeInstanceOf(ForbiddenError)
    expect(expired).toEqual(wrong)
    for (let tries = 0; tries < 10; tries++) await attempt('y', '10.0.0.2')
    expect(await attempt(await invite(), '10.0.0.2')).toBeInstanceOf(RateLimitedError)
    expect(await attempt(await invite(), '10.0.0.3')).toMatchObject({ session: { id: own.id } })
  })

  test.each([
    [{ role: 'OWNER' as const }, 'role'],
    [{ expiresInSeconds: 0 }, 'expiresInSeconds'],
    [{ expiresInSeconds: 31_536_001 }, 'expiresInSeconds'],
    [{ maxUses: 0 }, 'maxUses'],
  ])('an invitation with %o is refused by the field', async (input, field) => {
    const error = await inviteToSession(house.ctx(ada), { sessionId: own.id, role: 'MEMBER', ...input }).catch(
      (e: unknown) => e,
    )
    expect(error).toBeInstanceOf(InvalidInputError)
    expect((error as InvalidInputError).fields.map(({ path }) => path)).toEqual([[field]])
  })

  test('who leaves or is removed reads no more; the owner can do neither', async () => {
    const [leaver, removed] = [await house.user(), await house.user()]
    await house.join(own, leaver, 'MEMBER')
    await house.join(own, removed, 'VIEWER')
    expect(await node(house.ctx(leaver), { id: removed.id })).toMatchObject({ id: removed.id })
    await leaveSession(house.ctx(leaver), { sessionId: own.id })
    await removeParticipant(house.ctx(ada), { sessionId: own.id, userId: removed.id.toUpperCase() })
    for (const user of [leaver, removed]) {
      expect(await session(house.ctx(user), { id: own.id })).toBeNull()
      expect(await node(house.ctx(user), { id: own.id })).toBeNull()
      expect(await node(house.ctx(user), { id: ada.id })).toBeNull()
    }
    await expect(leaveSession(house.ctx(leaver), { sessionId: own.id })).rejects.toThrow(NotFoundError)
    await expect(leaveSession(house.ctx(ada), { sessionId: own.id })).rejects.toThrow(ForbiddenError)
    const remove = (userId: string) => removeParticipant(house.ctx(ada), { sessionId: own.id, userId })
    await expect(remove(ada.id)).rejects.toThrow(ForbiddenError)
    await expect(remove(removed.id)).rejects.toThrow(NotFoundError)
    await expect(remove('x')).rejects.toThrow(NotFoundError)
  })

  test('only the owner changes roles, and never to or from OWNER', async () => {
    const user = await house.user()
    await house.join(own, user, 'VIEWER')
    const change = (viewer: User, userId: string, role: 'OWNER' | 'MEMBER' | 'VIEWER') =>
      changeParticipantRole(house.ctx(viewer), { sessionId: own.id, userId, role })
    expect((await change(ada, user.id, 'MEMBER')).participant).toMatchObject({ userId: user.id, role: 'MEMBER' })
    expect(await roles()).toMatchObject({ [user.id]: 'MEMBER' })
    await expect(change(user, user.id, 'VIEWER')).rejects.toThrow(ForbiddenError)
    await expect(change(ada, user.id, 'OWNER')).rejects.toThrow(InvalidInputError)
    await expect(change(ada, ada.id, 'VIEWER')).rejects.toThrow(ForbiddenError)
    await expect(change(await house.user(), user.id, 'VIEWER')).rejects.toThrow(NotFoundError)
  })
})
