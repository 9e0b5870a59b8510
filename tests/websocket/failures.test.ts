import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import type { Bus } from '../../server/bus/bus.ts'
import type { Topics } from '../../server/topics.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { openSocket, signIn, type Person } from '../support/clients.ts'
import { createSession } from '../support/operations.ts'

let app: TestApp
let ada: Person
beforeAll(async () => {
  app = await startApp()
  ada = await signIn(app)
})
afterAll(() => app?.stop())

/** Who listens on the bus to one person's list of sessions, from now on. */
function watchListeners(bus: Bus<Topics>) {
  const listeners = new Set<unknown>()
  const { promise: hasBegun, resolve: begin } = Promise.withResolvers<void>()
  const subscribe = bus.subscribe.bind(bus) as (...args: unknown[]) => Promise<() => void>
  const spy = vi.spyOn(bus, 'subscribe').mockImplementation((async (topic: string, key: string, handler: unknown) => {
    const unsubscribe = await subscribe(topic, key, handler)
    if (topic !== 'viewer') return unsubscribe
    listeners.add(handler)
    begin()
    return () => {
      listeners.delete(handler)
      unsubscribe()
    }
  }) as typeof bus.subscribe)
  return { listeners, hasBegun, restore: () => spy.mockRestore() }
}

it('viewerEvents whose session cannot be read ends with INTERNAL, and listens to nothing more', async () => {
  const { bus, storage } = app.services
  const sessionId = await createSession(app, ada)
  const watched = watchListeners(bus)
  const socket = await openSocket(app, { token: ada.token })
  socket.subscribe('1', 'subscription { viewerEvents { __typename } }')
  await watched.hasBegun
  await socket.roundTrip()
  expect(watched.listeners.size).toBe(1)

  const all = storage.read.all.bind(storage.read)
  const reading = vi
    .spyOn(storage.read, 'all')
    .mockImplementation((sql, params) =>
      sql.includes('FROM sessions s') ? Promise.reject(new Error('The database is away.')) : all(sql, params),
    )
  try {
    bus.publish('viewer', ada.id, { kind: 'SessionChanged', sessionId })
    const frames = await socket.until('1', ({ type }) => type === 'complete')
    expect(frames.map(({ type, payload }) => ({ type, payload }))).toMatchObject([
      { type: 'next', payload: { errors: [{ extensions: { code: 'INTERNAL' } }] } },
      { type: 'complete' },
    ])
    expect(frames[0]!.raw).not.toContain('away')
    await expect.poll(() => watched.listeners.size).toBe(0)
  } finally {
    reading.mockRestore()
    watched.restore()
  }
  expect(socket.socket.readyState).toBe(socket.socket.OPEN)
  await socket.close()
})
