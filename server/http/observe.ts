import type { IncomingMessage } from 'node:http'
import { getOperationAST, GraphQLError, type ExecutionArgs } from 'graphql'
import type { Plugin } from 'graphql-yoga'
import type { Context, Services } from '../context.ts'
import { errorCodes, type ErrorCode } from '../errors.ts'
import type { Trail } from '../guards/auditTrail.ts'
import { codeOf } from '../schema/audited.ts'
import { toGraphQLError } from '../schema/errors.ts'
import { trailOf } from './trail.ts'

/** Tells the log, the audit log and the metrics what became of operations. */
export function observe(services: Services): Plugin<Context> {
  return {
    onExecute({ args }) {
      const startedAt = performance.now()
      args.contextValue.trail.isExecuted = true
      return {
        onExecuteDone({ args: executed, result, setResult }) {
          const context = executed.contextValue
          if ('errors' in result && result.errors) setResult({ ...result, errors: masked(result.errors, context) })
          done(executed, context, startedAt)
        },
      }
    },
    onSubscribe({ args }) {
      const startedAt = performance.now()
      args.contextValue.trail.isExecuted = true
      return { onSubscribeResult: ({ args: subscribed, result }) => subscriptionDone(subscribed, result, startedAt) }
    },
    // over HTTP, also of what was refused before it was executed
    onExecutionResult({ result, context }) {
      const { req } = context as { req?: IncomingMessage }
      if (req && result && 'errors' in result && result.errors) operationRefused(services, trailOf(req), result.errors)
    },
  }
}

/** To be called when a subscription was taken or refused; how long it then lasts is not its duration. */
export function subscriptionDone(args: ExecutionArgs, result: object, startedAt: number): void {
  const context = args.contextValue as Context
  if ('errors' in result && result.errors) context.trail.errorCode ??= codeOf((result.errors as unknown[])[0])
  done(args, context, startedAt)
}

function done(args: ExecutionArgs, context: Context, startedAt: number): void {
  const { metrics, logger, trail, config } = context
  const operation = getOperationAST(args.document, args.operationName)
  const name = metrics.nameOf(operation?.name?.value)
  const type = operation?.operation ?? 'unknown'
  const code = trail.errorCode ?? 'OK'
  const ms = performance.now() - startedAt
  metrics.operationDone(name, type, code, ms)
  const isSlow = ms >= config.slowOperationMs
  const fields = { operation: name, type, code, durationMs: Math.round(ms) }
  logger[isSlow ? 'warn' : 'debug'](isSlow ? 'a slow operation' : 'operation', fields)
}

/** Masked here, where the log line can have the id of the request. */
function masked(errors: readonly unknown[], { logger, trail }: Context): GraphQLError[] {
  trail.errorCode ??= codeOf(errors[0])
  return errors.map((error) => toGraphQLError(error, (cause) => logger.error('an operation failed', { error: cause })))
}

/**
 * Notes an operation that was refused before it was executed: a wrong token or a limit passed. A document that is not
 * valid is a mistake and no refusal; the metrics count it.
 */
export function operationRefused({ audit, metrics }: Services, trail: Trail, errors: readonly unknown[]): void {
  if (trail.isExecuted || trail.isNoted) return
  const [code] = errors.flatMap((error) => (error instanceof GraphQLError ? knownCode(error.extensions.code) : []))
  metrics.operationDone('other', 'unknown', code ?? 'INVALID', 0)
  if (!code) return
  trail.isNoted = true
  audit.note({
    action: code === 'UNAUTHENTICATED' ? 'signIn' : 'operation',
    userId: null,
    address: trail.address,
    requestId: trail.requestId,
    errorCode: code,
  })
}

const knownCode = (code: unknown): ErrorCode[] => errorCodes.filter((one) => one === code)
