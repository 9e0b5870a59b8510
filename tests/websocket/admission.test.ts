import { setImmediate as turn } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { openSocket, signIn, type Person } from '../support/clients.ts'

let app: TestApp
let ada: Person
beforeAll(async () => {
  app = await startApp({ env: { MAX_SOCKETS_PER_USER: '1' } })
  ada = await signIn(app)
})
afterAll(() => app?.stop())

it('a socket that closes while it signs in is not counted, neither as online nor among those that its user may have', async () => {
  const { identity, presence, connectionCount } = app.services
  const fromHeader = identity.fromHeader.bind(identity)
  const [verified, isClosed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const spy = vi.spyOn(identity, 'fromHeader').mockImplementationOnce(async (header) => {
    const found = await fromHeader(header)
    verified.resolve()
    await isClosed.promise
    return found
  })
  const socket = await openSocket(app)
  socket.send({ type: 'connection_init', payload: { authorization: `Bearer ${ada.token}` } })
  await verified.promise
  await socket.close()
  await expect.poll(connectionCount).toBe(0)
  isClosed.resolve()
  await turn()
  spy.mockRestore()

  expect(await presence.onlineAmong([ada.id])).toEqual(new Set())
  const next = await openSocket(app, { token: ada.token })
  expect(next.received.map(({ type }) => type)).toEqual(['connection_ack'])
  await next.close()
})
