import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import sirv from 'sirv'
import type { Services } from '../context.ts'
import { createContext } from '../resolvers/createContext.ts'
import { health } from '../resolvers/health.ts'
import { addressOf } from './address.ts'
import type { Yoga } from './yoga.ts'

export interface RouterParts {
  services: Services
  yoga: Yoga
  /** Folder of the built web client; null serves none. */
  clientFolder: string | null
  /** False once the server is stopping. */
  isReady(): boolean
}

const pagePolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** `/graphql`, GraphiQL, health and the web client; anything else is the client's to route. */
export function createHttpServer(parts: RouterParts): Server {
  const { services, yoga, clientFolder } = parts
  const files = clientFolder === null ? null : serveClient(clientFolder)
  return createServer((request, response) => {
    response.setHeader('x-content-type-options', 'nosniff')
    response.setHeader('referrer-policy', 'no-referrer')
    const path = pathOf(request)
    if (path === '/graphql') return graphql(request, response, yoga, addressOf(request, services.config.trustedProxies))
    if (path === '/health/live') return answer(response, 200, { status: 'live' })
    if (path === '/health/ready') return void ready(response, parts)
    if (files && (request.method === 'GET' || request.method === 'HEAD')) return files(request, response)
    services.logger.debug('not found', { method: request.method, path })
    answer(response, 404, { error: 'There is nothing here. The API is at /graphql.' })
  })
}

function graphql(request: IncomingMessage, response: ServerResponse, yoga: Yoga, address: string): void {
  // Yoga makes a URL of it, and would answer one that is none with a stack
  if (!URL.canParse(`http://${request.headers.host || 'localhost'}${request.url}`)) {
    request.resume()
    return answer(response, 400, { errors: [{ message: 'The Host header is not the name of a host.' }] })
  }
  // the other kinds of bodies can be sent from any page without the browser asking us first
  if (request.method === 'POST' && !/^application\/(graphql\+)?json\b/i.test(request.headers['content-type'] ?? '')) {
    request.resume()
    return answer(response, 415, { errors: [{ message: 'Send the operation as application/json.' }] })
  }
  void (yoga as unknown as (request: IncomingMessage, response: ServerResponse, context: object) => unknown)(
    request,
    response,
    { address },
  )
}

async function ready(response: ServerResponse, { services, isReady }: RouterParts): Promise<void> {
  const { status } = isReady()
    ? await health(createContext(services, { viewer: null, expiresAt: null, address: '' }))
    : { status: 'UNHEALTHY' }
  answer(response, status === 'UNHEALTHY' ? 503 : 200, { status: status.toLowerCase() })
}

function serveClient(folder: string): RequestListener {
  const serve = sirv(folder, {
    single: true,
    etag: true,
    // looks at the folder each time: sirv would fail, uncaught, on a file that it remembers and a newer build removed
    dev: true,
    setHeaders(response, path) {
      response.setHeader('content-security-policy', pagePolicy)
      response.setHeader(
        'cache-control',
        path.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
      )
    },
  })
  return (request, response) =>
    serve(request, response, () => answer(response, 404, { error: 'There is no such file.' }))
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' })
  response.end(JSON.stringify(body))
}

export const pathOf = (request: IncomingMessage): string => (request.url ?? '/').split('?', 1)[0]!
