import type { IncomingMessage } from 'node:http'

/** A browser says which page sends a request: one of ours, or one that is listed. Programs say nothing. */
export function isAllowedOrigin({ headers }: IncomingMessage, allowed: readonly string[]): boolean {
  const { origin, host } = headers
  if (origin === undefined) return true
  return allowed.includes(origin) || (URL.canParse(origin) && new URL(origin).host === host)
}
