import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { openSocket, post } from '../support/clients.ts'

let app: TestApp
let provider: Server
let token: string
/** Whether the provider answers at all. */
let isAway = false
beforeAll(async () => {
  const { publicKey, privateKey } = await generateKeyPair('EdDSA')
  const keys = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), alg: 'EdDSA' }] })
  provider = createServer((request, response) => {
    if (isAway) return void request.socket.destroy()
    response.setHeader('content-type', 'application/json').end(keys)
  })
  await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve))
  const { port } = provider.address() as AddressInfo
  app = await startApp({ env: { AUTH_JWKS_URL: `http://127.0.0.1:${port}/jwks` } })
  token = await new SignJWT({ name: 'Olive' })
    .setProtectedHeader({ alg: 'EdDSA' })
    .setSubject('olive')
    .setExpirationTime('1h')
    .sign(privateKey)
})
afterAll(async () => {
  await app?.stop()
  provider?.closeAllConnections()
  await new Promise((resolve) => provider?.close(resolve))
})

it('a token is not called wrong while the keys of its provider cannot be fetched, and is good once they can', async () => {
  isAway = true
  const { status, body } = await post(app, '{ viewer { name } }', {}, { token })
  expect([status, body.errors?.[0]?.extensions?.code]).toEqual([500, 'INTERNAL'])
  const refused = await openSocket(app)
  refused.send({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } })
  expect((await refused.closed).code).toBe(1011)
  expect(refused.received).toEqual([])

  isAway = false
  expect((await post(app, '{ viewer { name } }', {}, { token })).body).toEqual({ data: { viewer: { name: 'Olive' } } })
  const admitted = await openSocket(app, { token })
  expect(admitted.received.map(({ type }) => type)).toEqual(['connection_ack'])
  await admitted.close()
})
