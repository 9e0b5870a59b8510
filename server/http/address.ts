import type { IncomingMessage } from 'node:http'
import { isIP } from 'node:net'
import { TLSSocket } from 'node:tls'

/**
 * The address that a request comes from: of the connection, or, behind so many proxies of ours, what the outermost of
 * them saw. What stands further left in `X-Forwarded-For` anyone can write.
 */
export function addressOf(request: IncomingMessage, hops: number): string {
  const own = withoutMapping(request.socket.remoteAddress ?? '')
  if (hops === 0) return own
  let address = own
  for (const entry of entriesOf(request, 'x-forwarded-for').reverse().slice(0, hops)) {
    const next = withoutMapping(entry)
    if (!isIP(next)) break
    address = next
  }
  return address
}

/** Whether a request came by https: over the connection itself, or, behind so many proxies, to the outermost of them. */
export function cameByHttps(request: IncomingMessage, hops: number): boolean {
  if (hops === 0) return request.socket instanceof TLSSocket
  const seen = entriesOf(request, 'x-forwarded-proto').slice(-hops)
  return seen[0]?.toLowerCase() === 'https'
}

/**
 * Where a request reached us: the origin of our own page for whoever sent it. Behind proxies, what the outermost of them
 * says of the host it was asked for, if it says so.
 */
export function originOf(request: IncomingMessage, hops: number): string {
  const scheme = cameByHttps(request, hops) ? 'https' : 'http'
  const forwarded = hops === 0 ? [] : entriesOf(request, 'x-forwarded-host').slice(-hops)
  const { localAddress, localPort } = request.socket
  const own = localAddress?.includes(':') ? `[${withoutMapping(localAddress)}]` : localAddress
  for (const host of [forwarded[0], request.headers.host, `${own}:${localPort}`]) {
    if (host && hostForm.test(host)) return `${scheme}://${host}`
  }
  return `${scheme}://localhost`
}

const hostForm = /^(?:[\w.-]+|\[[\da-f:]+\])(?::\d+)?$/i

const entriesOf = ({ headers }: IncomingMessage, name: string): string[] =>
  String(headers[name] ?? '')
    .split(',')
    .map((entry) => entry.trim())

/** A socket that listens for both kinds shows 10.0.0.1 as ::ffff:10.0.0.1. */
const withoutMapping = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/i, '')
