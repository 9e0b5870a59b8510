import { afterAll, beforeAll, expect, test } from 'vitest'
import type { User } from '../../server/entities/user.ts'
import { deleteSessions } from '../../server/resolvers/deleteSessions.ts'
import { removeParticipant } from '../../server/resolvers/participants.ts'
import { updateSession } from '../../server/resolvers/updateSession.ts'
import { viewerEvents } from '../../server/resolvers/viewerEvents.ts'
import { openHouse, type House } from './house.ts'

let house: House
let ada: User
beforeAll(async () => {
  house = await openHouse('SQLite')
  ada = await house.user('Ada')
})
afterAll(() => house.close())

test('a list hears of what happens between subscribing and the first read', async () => {
  const events = await viewerEvents(house.ctx(ada))
  const made = await house.session(ada, 'First')
  const { value } = await events.next()
  expect(value).toMatchObject({ kind: 'SessionListed', session: { id: made.id, title: 'First' } })
  await events.return!()
})

test('changes that a slow reader has not taken are one for each session, with the session as it is now', async () => {
  const events = await viewerEvents(house.ctx(ada))
  const made = await house.session(ada, 'First')
  for (const title of ['Second', 'Third']) await updateSession(house.ctx(ada), { sessionId: made.id, title })
  const gone = await house.session(ada)
  await deleteSessions(house.ctx(ada), { sessionIds: [gone.id] })
  expect((await events.next()).value).toMatchObject({ kind: 'SessionListed', session: { id: made.id, title: 'Third' } })
  expect((await events.next()).value).toMatchObject({ kind: 'SessionUnlisted', sessionId: gone.id })
  await events.return!()
})

test('whoever was removed is told so and hears nothing more of the session', async () => {
  const bob = await house.user('Bob')
  const [one, two] = [await house.session(ada), await house.session(ada)]
  for (const session of [one, two]) await house.join(session, bob, 'MEMBER')
  const events = await viewerEvents(house.ctx(bob))
  await removeParticipant(house.ctx(ada), { sessionId: one.id, userId: bob.id })
  await updateSession(house.ctx(ada), { sessionId: one.id, title: 'Secret' })
  await updateSession(house.ctx(ada), { sessionId: two.id, title: 'Shared' })
  expect((await events.next()).value).toEqual({ kind: 'SessionUnlisted', sessionId: one.id, session: null })
  expect((await events.next()).value).toMatchObject({ kind: 'SessionChanged', session: { title: 'Shared' } })
  await events.return!()
})

test('ending the subscription ends a read that waits', async () => {
  const events = await viewerEvents(house.ctx(ada))
  const waiting = events.next()
  await events.return!()
  expect(await waiting).toEqual({ done: true, value: undefined })
})
