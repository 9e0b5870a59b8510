import type { IncomingMessage } from 'node:http'
import { isIP, type BlockList } from 'node:net'

/**
 * The address that a request comes from: of the connection, or, where that is one of our own proxies, what the nearest
 * proxy that is not ours, or else the client, was seen as. What stands further left in `X-Forwarded-For` anyone can write.
 */
export function addressOf(request: IncomingMessage, proxies: BlockList): string {
  const seen = [...String(request.headers['x-forwarded-for'] ?? '').split(','), request.socket.remoteAddress ?? '']
  let address = ''
  for (const entry of seen.reverse()) {
    const next = withoutMapping(entry.trim())
    if (!isIP(next)) break
    address = next
    if (!proxies.check(next, isIP(next) === 6 ? 'ipv6' : 'ipv4')) break
  }
  return address
}

/** A socket that listens for both kinds shows 10.0.0.1 as ::ffff:10.0.0.1. */
const withoutMapping = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/i, '')
