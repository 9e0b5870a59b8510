import { GraphQLError, type GraphQLFieldResolver } from 'graphql'
import type { Context } from '../context.ts'
import { errorCodes, ParleyError, type ErrorCode } from '../errors.ts'
import { isUuid } from '../guards/uuid.ts'

type Args = Record<string, unknown>
/** Of a root field; of a subscription, its `subscribe`. */
export type Resolver = GraphQLFieldResolver<unknown, Context, Args>

/** Failures of queries and subscriptions that are noted; the others are mistakes. */
const refusals: readonly ErrorCode[] = [
  ...(['UNAUTHENTICATED', 'FORBIDDEN', 'NOT_FOUND'] as const),
  ...(['RATE_LIMITED', 'TOO_MANY_GENERATIONS'] as const),
]

/** What a failure is called; an error that nobody foresaw is an INTERNAL one. */
export function codeOf(error: unknown): ErrorCode {
  const cause = error instanceof GraphQLError ? (error.originalError ?? error) : error
  if (cause instanceof ParleyError) return cause.code
  return cause instanceof GraphQLError ? 'INVALID_INPUT' : 'INTERNAL'
}

/**
 * Has every call of a mutation in the audit log, whatever became of it. One that wrote its entry in its own transaction is
 * not noted a second time.
 */
export const auditedMutation =
  (action: string, resolve: Resolver): Resolver =>
  async (source, args, ctx, info) => {
    const startedAt = performance.now()
    const { trail } = ctx
    trail.isNoted = false
    trail.sessionId = null
    const end = (errorCode: ErrorCode | null): void => {
      trail.errorCode ??= errorCode
      if (!trail.isNoted) note(ctx, action, args, errorCode, startedAt)
    }
    try {
      const result: unknown = await resolve(source, args, ctx, info)
      end(returnedCode(result))
      return result
    } catch (error) {
      end(codeOf(error))
      throw error
    }
  }

/** The failures of a result union are returned, in a wrapper of Pothos' that hides that they are errors. */
const returnedCode = (result: unknown): ErrorCode | null =>
  errorCodes.find((code) => code === (result as { code?: unknown } | null)?.code) ?? null

/** Has every refusal of a query or subscription in the audit log. */
export const auditedRead =
  (action: string, resolve: Resolver): Resolver =>
  (source, args, ctx, info) => {
    const startedAt = performance.now()
    const failed = (error: unknown): never => {
      const code = codeOf(error)
      ctx.trail.errorCode ??= code
      if (refusals.includes(code)) note(ctx, action, args, code, startedAt)
      throw error
    }
    const found = (result: unknown): unknown => {
      // whoever asks for what they may not read gets null, as for what is not there
      if (result === null && typeof args.id === 'string') note(ctx, action, args, 'NOT_FOUND', startedAt)
      const missing = Array.isArray(result) && Array.isArray(args.ids) ? result.indexOf(null) : -1
      if (missing >= 0) note(ctx, action, { id: (args.ids as unknown[])[missing] }, 'NOT_FOUND', startedAt)
      return result
    }
    try {
      const result: unknown = resolve(source, args, ctx, info)
      return result instanceof Promise ? result.then(found, failed) : found(result)
    } catch (error) {
      return failed(error)
    }
  }

function note(ctx: Context, action: string, args: Args, errorCode: ErrorCode | null, startedAt: number): void {
  const { sessionId, subjectId } = aboutWhat(action, args)
  ctx.trail.isNoted = true
  ctx.audit.note({
    action,
    userId: ctx.viewer?.id ?? null,
    address: ctx.address,
    requestId: ctx.requestId,
    sessionId: sessionId ?? ctx.trail.sessionId,
    subjectId,
    errorCode,
    durationMs: performance.now() - startedAt,
  })
}

/** The ids in a root field's arguments, and nothing else of them. */
function aboutWhat(action: string, args: Args): { sessionId: string | null; subjectId: string | null } {
  const input: Args = { ...args, ...(args.filter as Args | null), ...(args.input as Args | null) }
  const [only, ...others] = Array.isArray(input.sessionIds) ? (input.sessionIds as unknown[]) : []
  const ids = Object.entries(input).filter(([name]) => name === 'id' || (name.endsWith('Id') && name !== 'sessionId'))
  const id = uuid(ids.find(([, value]) => uuid(value) !== null)?.[1])
  if (action === 'session') return { sessionId: id, subjectId: null }
  return { sessionId: uuid(input.sessionId) ?? (others.length === 0 ? uuid(only) : null), subjectId: id }
}

const uuid = (value: unknown): string | null =>
  typeof value === 'string' && isUuid(value) ? value.toLowerCase() : null
