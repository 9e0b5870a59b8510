import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

/** A browser says which page opens the socket: one of ours, or one that is listed. Programs say nothing. */
export function isAllowedOrigin({ headers }: IncomingMessage, allowed: readonly string[]): boolean {
  const { origin, host } = headers
  if (origin === undefined) return true
  return allowed.includes(origin) || (URL.canParse(origin) && new URL(origin).host === host)
}

/** Answers a request for a WebSocket with a plain HTTP status. */
export function refuse(socket: Duplex, status: string): void {
  socket.on('error', () => undefined)
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}
