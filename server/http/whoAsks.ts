import type { IncomingMessage, ServerResponse } from 'node:http'
import { GraphQLError } from 'graphql'
import type { Context, Services } from '../context.ts'
import { ForbiddenError, ParleyError, RateLimitedError, UnauthenticatedError, type ErrorCode } from '../errors.ts'
import type { Verified } from '../guards/identity.ts'
import { askerOf, createContext } from '../resolvers/createContext.ts'
import { toGraphQLError } from '../schema/errors.ts'
import { DatabaseAwayError } from '../storage/databaseAway.ts'
import { cameByHttps, originOf } from './address.ts'
import { noteSignIn, trailOf } from './trail.ts'
import { isOwnPage, tokenCookie, tokenIn } from './cookie.ts'

/** The context of a request over HTTP: who asks is said by the header, else by the cookie of our own page. */
export async function contextOf(
  services: Services,
  request: IncomingMessage,
  response: ServerResponse,
  address: string,
): Promise<Context> {
  const { allowedOrigins, trustProxy } = services.config
  const { authorization } = request.headers
  const kept = authorization === undefined ? tokenIn(request) : undefined
  // a cache would keep it under the address alone
  if (kept !== undefined) response.setHeader('cache-control', 'no-store')
  const isHttps = cameByHttps(request, trustProxy)
  const cookie = tokenCookie(request, response, { allowedOrigins, isHttps, isUsed: kept !== undefined })
  const trail = trailOf(request)
  const since = Date.now()
  try {
    const verified = await (kept === undefined
      ? services.limits.token(address, authorization, () => services.identity.fromHeader(authorization))
      : fromCookie(services, request, address, kept))
    // made by this very token
    if (verified && verified.user.createdAt.getTime() >= since) noteSignIn(services.audit, trail, verified.user.id)
    return createContext(
      services,
      { ...askerOf(verified, { address, origin: originOf(request, trustProxy) }), trail },
      cookie,
    )
  } catch (error) {
    throw refusal(services, error, trail.requestId)
  }
}

/**
 * A token that has ended counts as none here: the page can't remove it, and must still be able to sign in.
 * @throws ForbiddenError for a page of another origin
 */
async function fromCookie(
  { identity, limits, config }: Services,
  request: IncomingMessage,
  address: string,
  token: string,
): Promise<Verified | null> {
  if (!isOwnPage(request, config.allowedOrigins))
    throw new ForbiddenError(
      "The cookie is taken from this server's own pages only. Send the token in the Authorization header.",
    )
  const verified = limits.token(address, token, () => identity.verify(token))
  return verified.catch((error: unknown) => {
    if (error instanceof UnauthenticatedError) return null
    throw error
  })
}

const statuses: Partial<Record<ErrorCode, number>> = {
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  RATE_LIMITED: 429,
  PROVIDER_UNAVAILABLE: 503,
}

/** Of what is away nobody knows when it is back; it is asked again after a second. */
const retryAfterSeconds = (error: unknown): number =>
  error instanceof RateLimitedError ? Math.ceil(error.retryAfterMs / 1000) : 1

function refusal({ logger }: Services, error: unknown, requestId: string): GraphQLError {
  const { message, extensions } = toGraphQLError(error, (cause) =>
    logger.error('who asks could not be found out', { error: cause, requestId }),
  )
  const known = error instanceof ParleyError ? statuses[error.code] : undefined
  const status = known ?? (error instanceof DatabaseAwayError ? 503 : 500)
  const headers = { 'retry-after': String(retryAfterSeconds(error)) }
  return new GraphQLError(message, {
    extensions: { ...extensions, http: { status, ...(status === 429 || status === 503 ? { headers } : {}) } },
  })
}
