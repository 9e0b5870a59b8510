import type { Duplex } from 'node:stream'

/** Answers a request for a WebSocket with a plain HTTP status, and a sentence where there is one. */
export function refuse(socket: Duplex, status: string, requestId: string, sentence = ''): void {
  socket.on('error', () => undefined)
  const headers = [
    'Connection: close',
    `X-Request-Id: ${requestId}`,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(sentence)}`,
  ]
  socket.end(`HTTP/1.1 ${status}\r\n${headers.join('\r\n')}\r\n\r\n${sentence}`)
}
