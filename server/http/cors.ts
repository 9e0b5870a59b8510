import type { IncomingMessage, ServerResponse } from 'node:http'

/** Seconds that a browser keeps the answer to a preflight; browsers cap it at two hours or a day. */
const maxAgeSeconds = 7_200

/**
 * Lets pages of listed origins read the answer, with the cookie. Other origins get no header, so their browser refuses.
 * @see https://fetch.spec.whatwg.org/#http-cors-protocol
 */
export function setCorsHeaders(request: IncomingMessage, response: ServerResponse, allowed: readonly string[]): void {
  if (allowed.length === 0) return
  // caches must not give one origin's answer to another
  response.appendHeader('vary', 'Origin')
  const { origin } = request.headers
  if (origin === undefined || !allowed.includes(origin)) return
  response.setHeader('access-control-allow-origin', origin)
  response.setHeader('access-control-allow-credentials', 'true')
  response.setHeader('access-control-expose-headers', 'retry-after, x-request-id')
}

export const isPreflight = ({ method, headers }: IncomingMessage): boolean =>
  method === 'OPTIONS' && headers.origin !== undefined && headers['access-control-request-method'] !== undefined

/** Answers a browser that asks whether a page of another origin may send its request. */
export function answerPreflight(request: IncomingMessage, response: ServerResponse, methods: string): void {
  if (response.hasHeader('access-control-allow-origin')) {
    response.setHeader('access-control-allow-methods', methods)
    // whichever the page wants to send: what counts is the origin
    const wanted = request.headers['access-control-request-headers'] ?? 'content-type, authorization'
    response.setHeader('access-control-allow-headers', wanted)
    response.setHeader('access-control-max-age', maxAgeSeconds)
    response.appendHeader('vary', 'Access-Control-Request-Headers')
  }
  response.writeHead(204)
  response.end()
}
