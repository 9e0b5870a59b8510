import type { CombinedError } from 'urql'

/** A failure that a mutation returned as data. */
export interface Failure {
  code: string
  message: string
}

const puzzled = 'Something went wrong. Try again.'
const unreachable = 'The server can’t be reached. Check the connection, then try again.'

/** One sentence that a person can act on. */
export function sentenceOf(error: CombinedError): string {
  if (error.networkError) return unreachable
  return error.graphQLErrors[0]?.message ?? puzzled
}

export function codeOf(error: CombinedError | undefined): string | undefined {
  const code = error?.graphQLErrors[0]?.extensions.code
  return typeof code === 'string' ? code : undefined
}

/** What a mutation came to: its success, or the sentence to show. */
export type Outcome<T> = { ok: true; value: T } | { ok: false; code: string; message: string }

/** Tells a result union's success from its failures, which alone have a `code`. */
export function outcomeOf<M extends object>(
  member: M | undefined,
  error: CombinedError | undefined,
): Outcome<Exclude<M, { code: unknown }>> {
  if (member && !('code' in member)) return { ok: true, value: member as Exclude<M, { code: unknown }> }
  if (error) return { ok: false, code: codeOf(error) ?? 'NETWORK', message: sentenceOf(error) }
  const failure = member as Partial<Failure> | undefined
  return { ok: false, code: failure?.code ?? 'INTERNAL', message: failure?.message ?? puzzled }
}
