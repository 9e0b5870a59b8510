/** Codes of every failure that a client can act on; the GraphQL enum `ErrorCode` has the same members. */
export const errorCodes = [
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'NOT_FOUND',
  'INVALID_INPUT',
  'CONFLICT',
  'RATE_LIMITED',
  'TOO_MANY_GENERATIONS',
  'PROVIDER_UNAVAILABLE',
  'PROVIDER_ERROR',
  'PROVIDER_TIMEOUT',
  'CONTEXT_TOO_LONG',
  'STOPPED',
  'INTERRUPTED',
  'INTERNAL',
] as const
export type ErrorCode = (typeof errorCodes)[number]

/** A failure that the client can act on: its code and message may be shown. Anything else is logged whole and shown masked. */
export class ParleyError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string) {
    super(message)
    this.name = new.target.name
    this.code = code
  }
}

export class UnauthenticatedError extends ParleyError {
  constructor(message = 'Sign in first: send a token in the Authorization header, or get one with signInAsGuest.') {
    super('UNAUTHENTICATED', message)
  }
}

export interface FieldError {
  /** Path into the input, e.g. `["settings", "temperature"]`. */
  path: string[]
  message: string
}

export class InvalidInputError extends ParleyError {
  readonly fields: FieldError[]

  constructor(fields: FieldError[]) {
    super('INVALID_INPUT', fields.map((field) => `${field.path.join('.')}: ${field.message}`).join(' '))
    this.fields = fields
  }
}

export class NotFoundError extends ParleyError {
  constructor(message: string) {
    super('NOT_FOUND', message)
  }
}

export class ForbiddenError extends ParleyError {
  constructor(message: string) {
    super('FORBIDDEN', message)
  }
}

export class ConflictError extends ParleyError {
  constructor(message: string) {
    super('CONFLICT', message)
  }
}

export class RateLimitedError extends ParleyError {
  /** Milliseconds until the same call may succeed. */
  readonly retryAfterMs: number

  constructor(message: string, retryAfterMs: number, code: 'RATE_LIMITED' | 'TOO_MANY_GENERATIONS' = 'RATE_LIMITED') {
    super(code, message)
    this.retryAfterMs = retryAfterMs
  }
}

export class ProviderUnavailableError extends ParleyError {
  /** The provider's configured name, e.g. `local`. */
  readonly provider: string

  constructor(provider: string, message: string) {
    super('PROVIDER_UNAVAILABLE', message)
    this.provider = provider
  }
}
