import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import sirv, { type Options } from 'sirv'
import { isProduction, type Config } from '../config/config.ts'
import type { Services } from '../context.ts'
import type { ErrorCode } from '../errors.ts'
import { askerOf, createContext } from '../resolvers/createContext.ts'
import { health } from '../resolvers/health.ts'
import { cameByHttps } from './address.ts'
import { isOwnPage } from './cookie.ts'
import { answerPreflight, isPreflight, setCorsHeaders } from './cors.ts'
import { asksForPage, createGraphiql, servesGraphiql, wantsPage } from './graphiql.ts'
import { pagePolicy, setSecurityHeaders } from './headers.ts'
import { foreignHost, isKnownHost, isOwnHost } from './host.ts'
import { answerMetrics } from './metrics.ts'
import type { RequestListenerWith } from './plainPost.ts'
import { endWhenStalled } from './stalledResponse.ts'
import { beginTrail, trailOf } from './trail.ts'
import type { GraphqlServer } from './yoga.ts'

export interface RouterParts {
  services: Services
  graphqlServer: GraphqlServer
  /** Folder of the built web client; null serves none. */
  clientFolder: string | null
  /** False once the server is stopping. */
  isReady(): boolean
}

/** `/graphql`, GraphiQL, health and the web client; anything else is the client's to route. */
export function createHttpServer(parts: RouterParts): Server {
  const { services, graphqlServer, clientFolder } = parts
  const { config } = services
  const files = clientFolder === null ? null : serveClient(clientFolder)
  const graphiql = servesGraphiql(config) ? createGraphiql() : null
  // any other protocol that a client offers (curl offers h2c) is declined by answering as if it had not been offered
  const shouldUpgradeCallback = ({ headers }: IncomingMessage): boolean =>
    headers.upgrade?.toLowerCase() === 'websocket'
  return createServer({ shouldUpgradeCallback }, (request, response) => {
    setSecurityHeaders(response, cameByHttps(request, config.trustProxy))
    endWhenStalled(response, config.stuckSocketTimeoutMs)
    const path = pathOf(request)
    beginTrail(services, request, response, routeOf(path, files !== null))
    // without a token /metrics trusts the machine, and so a rebound page that is open on it
    const isOpen = path === '/metrics' && request.headers.authorization === undefined
    if (!(isOpen ? isKnownHost : isOwnHost)(request, config)) {
      request.resume()
      return refuse(response, 421, foreignHost, 'FORBIDDEN')
    }
    if (path === '/graphql') {
      setCorsHeaders(request, response, config.allowedOrigins)
      if (isPreflight(request)) return answerPreflight(request, response, 'POST, OPTIONS')
      if (graphiql && asksForPage(request))
        return void graphiql(response).catch((error: unknown) => {
          services.logger.error('GraphiQL could not be made', { error })
          answer(response, 500, { error: 'GraphiQL is not there. The log of the server says why.' })
        })
      if (request.method !== 'POST' && !isTakenByGet(request, config)) return onlyPost(request, response)
      return graphql(request, response, graphqlServer)
    }
    if (path === '/health/live') return answer(response, 200, { status: 'live' })
    if (path === '/health/ready') return void ready(response, parts)
    if (path === '/metrics') return void answerMetrics(services, request, response)
    if (files && (request.method === 'GET' || request.method === 'HEAD')) return files(request, response)
    nothingHere(response)
  })
}

const nothingHere = (response: ServerResponse): void =>
  answer(response, 404, { error: 'There is nothing here. The API is at /graphql.' })

/** Not in production, and never for what a page of another site links to or shows. */
const isTakenByGet = (request: IncomingMessage, config: Config): boolean =>
  request.method === 'GET' &&
  (config.getQueries ?? (isProduction(config) ? 'off' : 'on')) === 'on' &&
  isOwnPage(request, config.allowedOrigins)

function onlyPost(request: IncomingMessage, response: ServerResponse): void {
  request.resume()
  response.setHeader('allow', 'POST')
  refuse(response, 405, 'Send the operation by POST, as application/json.')
}

function graphql(request: IncomingMessage, response: ServerResponse, { yoga, answerPost }: GraphqlServer): void {
  const { address } = trailOf(request)
  // Yoga makes a URL of it, and would answer one that is none with a stack
  if (!URL.canParse(`http://${request.headers.host || 'localhost'}${request.url}`)) {
    request.resume()
    return refuse(response, 400, 'The Host header is not the name of a host.')
  }
  // the other kinds of bodies can be sent from any page without the browser asking us first
  if (request.method === 'POST' && !/^application\/(graphql\+)?json\b/i.test(request.headers['content-type'] ?? '')) {
    request.resume()
    return refuse(response, 415, 'Send the operation as application/json.')
  }
  if (request.method === 'POST') return void answerPost(request, response, address)
  void (yoga as unknown as RequestListenerWith)(request, response, { address })
}

async function ready(response: ServerResponse, { services, isReady }: RouterParts): Promise<void> {
  const { status } = isReady()
    ? await health(createContext(services, askerOf(null, { address: '', origin: '' })))
    : { status: 'UNHEALTHY' }
  answer(response, status === 'UNHEALTHY' ? 503 : 200, { status: status.toLowerCase() })
}

/** The files, and for whoever wants a page the client's, which routes what is no file itself. */
function serveClient(folder: string): RequestListener {
  const options: Options = {
    etag: true,
    // looks at the folder each time: sirv would fail, uncaught, on a file that it remembers and a newer build removed
    dev: true,
    setHeaders(response, path) {
      response.setHeader(
        'cache-control',
        path.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
      )
    },
  }
  const [serveFile, servePage] = [sirv(folder, options), sirv(folder, { ...options, single: true })]
  return (request, response) => {
    // before sirv, which sets none of its headers on a 304: the browser would take the stricter one for the page it has
    response.setHeader('content-security-policy', pagePolicy)
    const serve = wantsPage(request) ? servePage : serveFile
    serve(request, response, () => nothingHere(response))
  }
}

/** As an operation is refused. */
function refuse(response: ServerResponse, status: number, message: string, code: ErrorCode = 'INVALID_INPUT'): void {
  answer(response, status, { errors: [{ message, extensions: { code } }] })
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' })
  response.end(JSON.stringify(body))
}

export const pathOf = (request: IncomingMessage): string => (request.url ?? '/').split('?', 1)[0]!

const routes = ['/graphql', '/health/live', '/health/ready', '/metrics']

/** What a request is counted under: paths are as many as anyone likes to ask for. */
const routeOf = (path: string, hasPage: boolean): string => (routes.includes(path) ? path : hasPage ? 'page' : 'none')
