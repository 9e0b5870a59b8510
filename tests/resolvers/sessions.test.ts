import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { User } from '../../server/entities/user.ts'
import { ConflictError, ForbiddenError, InvalidInputError, NotFoundError } from '../../server/errors.ts'
import { createSession, type CreateSessionInput } from '../../server/resolvers/createSession.ts'
import { deleteEmptySessions, deleteSessions } from '../../server/resolvers/deleteSessions.ts'
import { session } from '../../server/resolvers/session.ts'
import { updateSession } from '../../server/resolvers/updateSession.ts'
import { databases, openHouse, type House } from './house.ts'

const deep = (levels: number): unknown => (levels === 0 ? {} : { a: deep(levels - 1) })

describe.each(databases)('sessions on %s', (database) => {
  let house: House
  let ada: User
  let bob: User
  beforeAll(async () => {
    house = await openHouse(database)
    ada = await house.user('Ada')
    bob = await house.user('Bob')
  })
  afterAll(() => house.close())

  test('a session is read back as it was made', async () => {
    const input = {
      id: randomUUID().toUpperCase(),
      title: 'Ünï ☃ 😀',
      model: 'demo/demo',
      settings: { systemPrompt: 'Be brief.', temperature: 0.5, topP: 1, maxTokens: 10, tools: ['clock'] },
      metadata: { pinned: true, nested: { list: [1, null, 'x\\u0000'] } },
    }
    const made = (await createSession(house.ctx(ada), input)).session
    expect(await session(house.ctx(ada), { id: input.id })).toEqual(made)
    expect(made).toMatchObject({
      ...input,
      id: input.id.toLowerCase(),
      ownerId: ada.id,
      isTitleSet: true,
      messageCount: 0,
    })
  })

  test('twenty calls at once under one id make one session', async () => {
    const input = { id: randomUUID(), title: 'Once', metadata: { b: 1, a: 2 } }
    const before = await house.rows('sessions')
    const made = await Promise.all(Array.from({ length: 20 }, () => createSession(house.ctx(ada), input)))
    expect(new Set(made.map(({ session }) => session.id))).toEqual(new Set([input.id]))
    expect(await house.rows('sessions')).toBe(before + 1)
  })

  test('an id with other content, of another owner or of another thing is a conflict', async () => {
    const id = randomUUID()
    await createSession(house.ctx(ada), { id, title: 'Mine' })
    await expect(createSession(house.ctx(ada), { id, title: 'Other' })).rejects.toThrow(ConflictError)
    await expect(createSession(house.ctx(ada), { id })).rejects.toThrow(ConflictError)
    await expect(createSession(house.ctx(bob), { id, title: 'Mine' })).rejects.toThrow(ConflictError)
    await expect(createSession(house.ctx(ada), { id: bob.id })).rejects.toThrow(ConflictError)
  })

  test.each<[string, CreateSessionInput, string[]]>([
    ['an id that is no UUID', { id: 'x' }, ['id']],
    ['an empty title', { title: '' }, ['title']],
    ['a blank title', { title: ' \n' }, ['title']],
    ['a title of 501 characters', { title: 'x'.repeat(501) }, ['title']],
    ['NUL in a title', { title: 'a\0b' }, ['title']],
    ['half a surrogate pair', { settings: { systemPrompt: '\ud800' } }, ['settings', 'systemPrompt']],
    ['a temperature of 2.1', { settings: { temperature: 2.1 } }, ['settings', 'temperature']],
    ['a topP of 0', { settings: { topP: 0 } }, ['settings', 'topP']],
    ['a maxTokens of 0', { settings: { maxTokens: 0 } }, ['settings', 'maxTokens']],
    ['65 tools', { settings: { tools: Array.from({ length: 65 }, String) } }, ['settings', 'tools']],
    ['a tool without a name', { settings: { tools: [''] } }, ['settings', 'tools', '0']],
    ['metadata that is a list', { metadata: [] }, ['metadata']],
    ['metadata that is text', { metadata: '{}' }, ['metadata']],
    ['metadata over 16 KiB', { metadata: { a: 'ü'.repeat(8192) } }, ['metadata']],
    ['metadata with NUL', { metadata: { a: ['\\\0'] } }, ['metadata']],
    ['metadata with half a surrogate pair in a key', { metadata: { '\udfff': 1 } }, ['metadata']],
    ['metadata 2,000 levels deep', { metadata: deep(2000) }, ['metadata']],
    ['a model with NUL', { model: 'demo/\0' }, ['model']],
  ])('%s is refused by the name of its field, and no row is written', async (_what, input, path) => {
    const before = await Promise.all(['sessions', 'audit_entries'].map(house.rows))
    const error = await createSession(house.ctx(ada), input).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(InvalidInputError)
    expect((error as InvalidInputError).fields.map((field) => field.path)).toEqual([path])
    expect(await Promise.all(['sessions', 'audit_entries'].map(house.rows))).toEqual(before)
  })

  test('what is just allowed is stored', async () => {
    const input = {
      title: '😀'.repeat(500),
      settings: { temperature: 0, topP: 1, maxTokens: 1_000_000 },
      metadata: { a: 'x'.repeat(16_384 - 8) },
    }
    const made = (await createSession(house.ctx(ada), input)).session
    expect(await session(house.ctx(ada), { id: made.id })).toMatchObject({
      title: input.title,
      metadata: input.metadata,
    })
  })

  test('an unknown model is not found', async () => {
    await expect(createSession(house.ctx(ada), { model: 'demo/none' })).rejects.toThrow(NotFoundError)
    await expect(createSession(house.ctx(ada), { model: 'none' })).rejects.toThrow(NotFoundError)
  })

  test('an update changes what it gives, clears a setting by null and leaves the rest', async () => {
    const made = await createSession(house.ctx(ada), { settings: { temperature: 1, topP: 0.5, tools: ['a'] } })
    const { id } = made.session
    await updateSession(house.ctx(ada), { sessionId: id, title: 'New', settings: { temperature: null, maxTokens: 5 } })
    await updateSession(house.ctx(ada), { sessionId: id, isArchived: true, metadata: { a: 1 } })
    expect(await session(house.ctx(ada), { id })).toMatchObject({
      title: 'New',
      isTitleSet: true,
      settings: { temperature: null, topP: 0.5, maxTokens: 5, tools: ['a'] },
      isArchived: true,
      metadata: { a: 1 },
    })
  })

  test('only the owner may update or delete, and a stranger learns nothing', async () => {
    const own = await house.session(ada)
    const member = await house.user('Mel')
    await house.join(own, member, 'MEMBER')
    await expect(updateSession(house.ctx(member), { sessionId: own.id, title: 'x' })).rejects.toThrow(ForbiddenError)
    await expect(deleteSessions(house.ctx(member), { sessionIds: [own.id] })).rejects.toThrow(ForbiddenError)
    const messages = new Set<string>()
    for (const sessionId of [own.id, randomUUID(), 'no-uuid']) {
      for (const attempt of [
        () => updateSession(house.ctx(bob), { sessionId, title: 'x' }),
        () => deleteSessions(house.ctx(bob), { sessionIds: [sessionId] }),
      ]) {
        const error = await attempt().catch((error: unknown) => error)
        expect(error).toBeInstanceOf(NotFoundError)
        messages.add((error as NotFoundError).message)
      }
      expect(await session(house.ctx(bob), { id: sessionId })).toBeNull()
    }
    expect(messages.size).toBe(1)
  })

  test('deleting takes all or none, in either case and though an id is given twice', async () => {
    const [one, two, foreign] = [await house.session(ada), await house.session(ada), await house.session(bob)]
    await house.messages(two, ada, 3)
    await expect(deleteSessions(house.ctx(ada), { sessionIds: [one.id, foreign.id] })).rejects.toThrow(NotFoundError)
    await expect(deleteSessions(house.ctx(ada), { sessionIds: [] })).rejects.toThrow(InvalidInputError)
    expect(await session(house.ctx(ada), { id: one.id })).not.toBeNull()
    const sessionIds = [one.id.toUpperCase(), two.id, one.id]
    expect(await deleteSessions(house.ctx(ada), { sessionIds })).toEqual({ sessionIds: [one.id, two.id] })
    expect(await session(house.ctx(ada), { id: two.id })).toBeNull()
  })

  test('deleting the empty ones leaves those with a message and those of others', async () => {
    const owner = await house.user()
    const [empty, full, foreign] = [await house.session(owner), await house.session(owner), await house.session(bob)]
    await house.join(foreign, owner, 'MEMBER')
    await house.messages(full, owner, 1)
    expect(await deleteEmptySessions(house.ctx(owner))).toEqual({ sessionIds: [empty.id] })
    expect(await deleteEmptySessions(house.ctx(owner))).toEqual({ sessionIds: [] })
    expect(await session(house.ctx(owner), { id: foreign.id })).not.toBeNull()
  })
})
