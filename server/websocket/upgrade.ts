import type { Duplex } from 'node:stream'

/** Answers a request for a WebSocket with a plain HTTP status. */
export function refuse(socket: Duplex, status: string, requestId: string): void {
  socket.on('error', () => undefined)
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nX-Request-Id: ${requestId}\r\nContent-Length: 0\r\n\r\n`)
}
