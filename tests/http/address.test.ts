import { createServer, request, type IncomingMessage } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ConfigError, readConfig } from '../../server/config.ts'
import { addressOf } from '../../server/http/address.ts'

let trusted = ''
const server = createServer((incoming: IncomingMessage, response) => {
  response.end(addressOf(incoming, readConfig({ TRUSTED_PROXIES: trusted }).trustedProxies))
})
beforeAll(async () => void (await once(server.listen(0, '127.0.0.1'), 'listening')))
afterAll(() => new Promise((resolve) => server.close(resolve)))

async function seen(proxies: string, forwarded?: string): Promise<string> {
  trusted = proxies
  const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }
  const sent = request({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', headers, agent: false }).end()
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  return (await response.toArray()).join('')
}

test('an address is believed from a proxy of ours alone', async () => {
  expect(await seen('', '203.0.113.7')).toBe('127.0.0.1')
  expect(await seen('10.0.0.0/8', '203.0.113.7')).toBe('127.0.0.1')
  expect(await seen('127.0.0.1', '203.0.113.7')).toBe('203.0.113.7')
  expect(await seen('127.0.0.0/8', '2001:db8::1')).toBe('2001:db8::1')
  expect(await seen('127.0.0.1')).toBe('127.0.0.1')
})

test('what a client writes itself does not count, and what is no address ends the search', async () => {
  expect(await seen('127.0.0.1', '198.51.100.1, 203.0.113.7')).toBe('203.0.113.7')
  expect(await seen('127.0.0.1,10.0.0.0/8', '198.51.100.1, 203.0.113.7, ::ffff:10.1.2.3')).toBe('203.0.113.7')
  expect(await seen('127.0.0.1', '203.0.113.7, <script>')).toBe('127.0.0.1')
})

test.each(['everything', '10.0.0.0/33', '10.0.0.0/', '::1/129'])('a network that is none is refused: %s', (value) => {
  expect(() => readConfig({ TRUSTED_PROXIES: value })).toThrow(ConfigError)
})
