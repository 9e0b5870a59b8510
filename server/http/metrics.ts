import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Services } from '../context.ts'
import { trailOf } from './trail.ts'

/** What proxies add: with any of it a request from this machine may be anybody's. */
const addedByProxies = ['x-forwarded-for', 'forwarded', 'x-real-ip', 'via']

/** `GET /metrics` in Prometheus' format, for this machine and for whoever has the token; for others there is nothing. */
export async function answerMetrics(
  { metrics, config, logger }: Services,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { authorization } = request.headers
  const isAllowed = authorization === undefined ? isFromHere(request) : isToken(authorization, config.metricsToken)
  if (!isAllowed) return end(response, authorization === undefined ? 404 : 403)
  if (request.method !== 'GET' && request.method !== 'HEAD') return end(response.setHeader('allow', 'GET'), 405)
  try {
    const { type, text } = await metrics.read()
    response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' })
    response.end(request.method === 'HEAD' ? undefined : text)
  } catch (error) {
    logger.error('the metrics could not be read', { error, requestId: trailOf(request).requestId })
    end(response, 500)
  }
}

function end(response: ServerResponse, status: number): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' })
  const error = status === 500 ? 'Unexpected error.' : 'There is nothing here. The API is at /graphql.'
  response.end(JSON.stringify({ error }))
}

const isFromHere = ({ socket, headers }: IncomingMessage): boolean =>
  /^(::ffff:)?127\.|^::1$/.test(socket.remoteAddress ?? '') && !addedByProxies.some((name) => name in headers)

const hash = (text: string): Buffer => createHash('sha256').update(text).digest()

const isToken = (authorization: string, token: string | undefined): boolean =>
  token !== undefined && timingSafeEqual(hash(authorization.replace(/^Bearer +/i, '')), hash(token))
