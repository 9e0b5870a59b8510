import type { ObjectRef } from '@pothos/core'
import { GraphQLError } from 'graphql'
import {
  ConflictError,
  ForbiddenError,
  InvalidInputError,
  NotFoundError,
  ParleyError,
  ProviderUnavailableError,
  RateLimitedError,
  type ErrorCode as Code,
  type FieldError as FieldErrorShape,
} from '../errors.ts'
import { DatabaseAwayError } from '../storage/databaseAway.ts'
import { builder, type SchemaTypes } from './builder.ts'
import { describedEnum } from './describedEnum.ts'

export const ErrorCode = describedEnum<Code>('ErrorCode', 'What went wrong, for programs.', {
  UNAUTHENTICATED: 'Nobody is signed in, or the token is wrong or has expired.',
  FORBIDDEN: 'The viewer may see it but not do this.',
  NOT_FOUND: 'There is none, or the viewer may not read it.',
  INVALID_INPUT: 'An argument or input field has a value that is not allowed.',
  CONFLICT: 'The id is already in use for something else.',
  RATE_LIMITED: 'Too many calls in a short time; try again after `retryAfterMs`.',
  TOO_MANY_GENERATIONS: 'As many generations as the viewer may have at once are running; wait for one to end.',
  PROVIDER_UNAVAILABLE: "The model's provider can't be reached, or the identity provider whose keys tell of a token.",
  PROVIDER_ERROR: "The model's provider answered with an error or with something unreadable.",
  PROVIDER_TIMEOUT: "The model's provider took too long to answer or to go on.",
  CONTEXT_TOO_LONG: "The conversation is longer than the model's context window.",
  STOPPED: 'Someone stopped it.',
  INTERRUPTED: 'The server that was writing it died.',
  INTERNAL: 'An error of the server itself; its log tells more.',
})

const ErrorInterface = builder.interfaceRef<ParleyError>('Error').implement({
  description:
    'Every failure that a client can act on. Mutations return it as a member of their result; queries carry `code` in `extensions.code`.',
  fields: (t) => ({
    code: t.expose('code', { type: ErrorCode, description: 'What went wrong, for programs.' }),
    message: t.exposeString('message', { description: 'What went wrong and what to do, for people.' }),
  }),
})

const FieldError = builder.objectRef<FieldErrorShape>('FieldError').implement({
  description: 'One input field that was refused.',
  fields: (t) => ({
    path: t.exposeStringList('path', { description: 'Path into the input, e.g. ["settings", "temperature"].' }),
    message: t.exposeString('message', { description: 'What the field may be, for people.' }),
  }),
})

builder.objectType(InvalidInputError, {
  name: 'InvalidInputError',
  description: 'Input fields have values that are not allowed. Nothing was changed.',
  interfaces: [ErrorInterface],
  fields: (t) => ({
    fields: t.expose('fields', { type: [FieldError], description: 'One entry for each offending input field.' }),
  }),
})

builder.objectType(NotFoundError, {
  name: 'NotFoundError',
  description: 'There is none, or the viewer may not read it; the two are not told apart.',
  interfaces: [ErrorInterface],
})

builder.objectType(ForbiddenError, {
  name: 'ForbiddenError',
  description: 'The viewer may not do this.',
  interfaces: [ErrorInterface],
})

builder.objectType(ConflictError, {
  name: 'ConflictError',
  description: 'The id was already used for something else. Take a new one.',
  interfaces: [ErrorInterface],
})

builder.objectType(RateLimitedError, {
  name: 'RateLimitedError',
  description: 'Too many calls in a short time, or too many generations at once.',
  interfaces: [ErrorInterface],
  fields: (t) => ({
    retryAfterMs: t.exposeInt('retryAfterMs', {
      description: 'Milliseconds until the same call may succeed.',
    }),
  }),
})

builder.objectType(ProviderUnavailableError, {
  name: 'ProviderUnavailableError',
  description: "The model's provider can't be reached now.",
  interfaces: [ErrorInterface],
  fields: (t) => ({
    provider: t.exposeString('provider', { description: "The provider's name, e.g. `local`." }),
  }),
})

type ErrorClass =
  | typeof InvalidInputError
  | typeof NotFoundError
  | typeof ForbiddenError
  | typeof ConflictError
  | typeof RateLimitedError
  | typeof ProviderUnavailableError

/**
 * A mutation's result. Errors of the named classes that its resolver throws become data, as does RateLimitedError, which
 * any may give; any other goes on as a top-level error.
 */
export const resultUnion = <Success extends object>(
  name: string,
  description: string,
  success: ObjectRef<SchemaTypes, Success>,
  errors: ErrorClass[],
) =>
  builder.errorUnion<ObjectRef<SchemaTypes, Success> | ErrorClass>(name, {
    description,
    types: [success, ...new Set([...errors, RateLimitedError])],
    resolveType: () => success.name,
  })

/**
 * What the outside may see of an error: a failure that a client can act on with its code, a fault in the document or its
 * variables as it is, with INVALID_INPUT where no other code is said, anything else as "Unexpected error.".
 * @param onUnexpected gets the whole of what is masked, for the log
 */
export function toGraphQLError(error: unknown, onUnexpected?: (error: unknown) => void): GraphQLError {
  const isLocated = error instanceof GraphQLError
  const cause: unknown = isLocated ? error.originalError : error
  if (cause instanceof ParleyError) {
    const extensions: Record<string, unknown> = { code: cause.code }
    if (cause instanceof InvalidInputError) extensions.fields = cause.fields
    if (cause instanceof RateLimitedError) extensions.retryAfterMs = cause.retryAfterMs
    if (cause instanceof ProviderUnavailableError) extensions.provider = cause.provider
    return placed(cause.message, extensions, error)
  }
  if (isLocated && !isOwnFault(error) && (cause === undefined || cause instanceof GraphQLError))
    return error.extensions.code ? error : placed(error.message, { ...error.extensions, code: 'INVALID_INPUT' }, error)
  onUnexpected?.(cause ?? error)
  const message = cause instanceof DatabaseAwayError ? databaseAway : 'Unexpected error.'
  return placed(message, { code: 'INTERNAL' }, error)
}

/** What a resolver gave can't be shown, which graphql-js may say without a cause. Errors of variables have no path. */
const isOwnFault = ({ path, message }: GraphQLError): boolean =>
  path !== undefined && /^Cannot return null|cannot represent/.test(message)

const databaseAway =
  "The server's database doesn't answer now. Try again in a moment; under the same id nothing is stored twice."

/** The first of an operation's errors that says that the database is away: what it kept from being read may come later. */
export function databaseAwayIn(errors: readonly unknown[] | undefined): DatabaseAwayError | undefined {
  for (const error of errors ?? []) {
    const cause = error instanceof GraphQLError ? error.originalError : error
    if (cause instanceof DatabaseAwayError) return cause
  }
  return undefined
}

/** An error at the place of another one, as far as that has one. */
function placed(message: string, extensions: Record<string, unknown>, at: unknown): GraphQLError {
  if (!(at instanceof GraphQLError)) return new GraphQLError(message, { extensions })
  const { nodes, source, positions, path } = at
  return new GraphQLError(message, { nodes, source, positions, path, extensions })
}
