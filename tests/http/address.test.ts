import { once } from 'node:events'
import { createServer, request, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readConfig } from '../../server/config/config.ts'
import { ConfigError } from '../../server/config/configError.ts'
import { addressOf, cameByHttps } from '../../server/http/address.ts'

let hops = 0
const server = createServer((incoming: IncomingMessage, response) => {
  response.end(JSON.stringify([addressOf(incoming, hops), cameByHttps(incoming, hops)]))
})
beforeAll(async () => void (await once(server.listen(0, '127.0.0.1'), 'listening')))
afterAll(() => new Promise((resolve) => server.close(resolve)))

async function ask(trusted: string, headers: Record<string, string>): Promise<[string, boolean]> {
  hops = readConfig({ TRUST_PROXY: trusted }).trustProxy
  const sent = request({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', headers, agent: false }).end()
  const [response] = (await once(sent, 'response')) as [IncomingMessage]
  return JSON.parse((await response.toArray()).join('')) as [string, boolean]
}
const seen = async (trusted: string, forwarded?: string): Promise<string> =>
  (await ask(trusted, forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }))[0]
const isSecure = async (trusted: string, proto?: string): Promise<boolean> =>
  (await ask(trusted, proto === undefined ? {} : { 'x-forwarded-proto': proto }))[1]

test('an address is believed from as many proxies as there are of ours, by default from none', async () => {
  expect(await seen('', '203.0.113.7')).toBe('127.0.0.1')
  expect(await seen('0', '203.0.113.7')).toBe('127.0.0.1')
  expect(await seen('1', '203.0.113.7')).toBe('203.0.113.7')
  expect(await seen('1', '2001:db8::1')).toBe('2001:db8::1')
  expect(await seen('2', '203.0.113.7, ::ffff:10.1.2.3')).toBe('203.0.113.7')
  expect(await seen('1')).toBe('127.0.0.1')
  expect(await seen('3', '203.0.113.7')).toBe('203.0.113.7')
})

test('what a client writes itself does not count, and what is no address ends the search', async () => {
  expect(await seen('1', '198.51.100.1, 203.0.113.7')).toBe('203.0.113.7')
  expect(await seen('2', '198.51.100.1, 203.0.113.7, 10.1.2.3')).toBe('203.0.113.7')
  expect(await seen('1', '203.0.113.7, <script>')).toBe('127.0.0.1')
  expect(await seen('2', '<script>, 203.0.113.7')).toBe('203.0.113.7')
})

test('https is believed from a proxy of ours alone, and as the outermost one saw it', async () => {
  expect(await isSecure('0', 'https')).toBe(false)
  expect(await isSecure('1', 'https')).toBe(true)
  expect(await isSecure('1', 'http')).toBe(false)
  expect(await isSecure('1')).toBe(false)
  expect(await isSecure('1', 'https, http')).toBe(false)
  expect(await isSecure('2', 'https, http')).toBe(true)
})

test.each(['everything', '-1', '1.5', '10.0.0.0/8', '21'])(
  'a number of proxies that is none is refused: %s',
  (value) => {
    expect(() => readConfig({ TRUST_PROXY: value })).toThrow(ConfigError)
  },
)
