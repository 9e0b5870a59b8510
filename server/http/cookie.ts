import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TokenCookie } from '../context.ts'
import { isAllowedOrigin } from './origin.ts'

/** A browser keeps the first from pages of other hosts and of plain http, and so takes it only where it came by https. */
const [secureName, plainName] = ['__Host-parley_token', 'parley_token']

/** The token that a browser keeps for the page. */
export function tokenIn({ headers: { cookie } }: IncomingMessage): string | undefined {
  if (cookie === undefined) return undefined
  const found = new Map(
    cookie.split(';').map((pair) => {
      const [name, ...value] = pair.split('=')
      return [name!.trim(), value.join('=').trim()]
    }),
  )
  return found.get(secureName) || found.get(plainName) || undefined
}

/**
 * Whether the cookie of a request says who asks: only where one of our own pages sent it. `SameSite=Strict` keeps it from
 * other sites, but not from other hosts of the same one, nor from other ports. A browser says who asks in
 * `Sec-Fetch-Site`, which it leaves out over plain http, and in `Origin`, which it leaves out where it only reads; a
 * program says nothing.
 */
export function isOwnPage(request: IncomingMessage, allowedOrigins: readonly string[]): boolean {
  const { origin, 'sec-fetch-site': site } = request.headers
  if (site === 'same-origin') return true
  if (origin !== undefined) return isAllowedOrigin(request, allowedOrigins)
  return site === undefined || site === 'none'
}

/** Sets the cookie in the answer to a request; null for a page of another origin, which has no business with it. */
export function tokenCookie(
  request: IncomingMessage,
  response: ServerResponse,
  { allowedOrigins, isHttps, isUsed }: { allowedOrigins: readonly string[]; isHttps: boolean; isUsed: boolean },
): TokenCookie | null {
  if (!isOwnPage(request, allowedOrigins)) return null
  // a proxy may not tell, but the page's own address does
  const isSecure = isHttps || request.headers.origin?.startsWith('https:') === true
  const set = (name: string, value: string, maxAgeSeconds: number): void => {
    const secure = name === secureName ? '; Secure' : ''
    response.appendHeader(
      'set-cookie',
      `${name}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${maxAgeSeconds}${secure}`,
    )
  }
  return {
    isUsed,
    keep(token, expiresAt) {
      set(isSecure ? secureName : plainName, token, Math.max(Math.floor((expiresAt.getTime() - Date.now()) / 1000), 0))
    },
    clear() {
      for (const name of isSecure ? [secureName, plainName] : [plainName]) set(name, '', 0)
    },
  }
}
