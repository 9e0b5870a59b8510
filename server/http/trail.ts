import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Services } from '../context.ts'
import type { ErrorCode } from '../errors.ts'
import type { AuditLog } from '../guards/auditLog.ts'
import { createTrail, requestIdFrom, type Trail } from '../guards/auditTrail.ts'
import { addressOf } from './address.ts'

const key = Symbol('trail')

type Traced = IncomingMessage & { [key]?: Trail }

/** What is known of a request, from `startTrail` on. */
export const trailOf = (request: IncomingMessage): Trail => (request as Traced)[key]!

/** Gives a request its id; for a WebSocket, that of the connection. */
export function startTrail({ config }: Pick<Services, 'config'>, request: IncomingMessage): Trail {
  const trail = createTrail(requestIdFrom(request.headers['x-request-id']), addressOf(request, config.trustProxy))
  ;(request as Traced)[key] = trail
  return trail
}

/** What an answer's status says of a request that was refused before it was known what it is. */
const refusals: Partial<Record<number, ErrorCode>> = {
  401: 'UNAUTHENTICATED',
  403: 'FORBIDDEN',
  413: 'INVALID_INPUT',
  415: 'INVALID_INPUT',
  421: 'FORBIDDEN',
  429: 'RATE_LIMITED',
}

/** Gives a request its id, and tells the log, the audit log and the metrics of it once it is answered. */
export function beginTrail(
  services: Services,
  request: IncomingMessage,
  response: ServerResponse,
  route: string,
): void {
  const { logger, audit, metrics } = services
  const startedAt = performance.now()
  const trail = startTrail(services, request)
  const { requestId, address } = trail
  response.setHeader('x-request-id', requestId)
  response.once('close', () => {
    const { statusCode: status } = response
    const durationMs = performance.now() - startedAt
    metrics.requestDone(route, status)
    logger.debug('request', { requestId, method: request.method, route, status, durationMs: Math.round(durationMs) })
    const errorCode = refusals[status]
    if (errorCode && !trail.isNoted)
      audit.note({ action: 'request', userId: null, address, requestId, errorCode, durationMs })
  })
}

/** @param errorCode null where they were let in */
export function noteSignIn(
  audit: AuditLog,
  { address, requestId }: Trail,
  userId: string | null,
  errorCode: ErrorCode | null = null,
): void {
  audit.note({ action: 'signIn', userId, address, requestId, subjectId: userId, errorCode })
}

/** A WebSocket that was not let in, or that was closed for what came over it. */
export function noteConnectionRefused(audit: AuditLog, { address, requestId }: Trail, errorCode: ErrorCode): void {
  audit.note({ action: 'connect', userId: null, address, requestId, errorCode })
}
