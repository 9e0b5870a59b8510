/** A token, or what gives one: asked when one is first needed, and again each time the server refused the last. */
export type TokenSource = string | undefined | (() => string | undefined | Promise<string | undefined>)

export interface Tokens {
  /** The token to show; undefined for none. Rejects with `RefusedToken`, or as the source does. */
  get(): Promise<string | undefined>
  /** Told by whoever heard that the server doesn't take it. */
  refuse(token: string | undefined): void
}

/** The source has no other token than the one that the server refused. */
export class RefusedToken extends Error {
  override name = 'RefusedToken'
  readonly extensions = { code: 'UNAUTHENTICATED' }
  constructor() {
    super('The server refuses the token, and there is no other.')
  }
}

/** Keeps the source's token until it is refused; all who need a new one at once wait for one answer. */
export function createTokens(source: TokenSource): Tokens {
  const ask = typeof source === 'function' ? source : () => source
  let current: string | undefined
  let refused: string | undefined
  let asking: Promise<string | undefined> | undefined

  async function renew() {
    try {
      const next = await ask()
      if (next !== undefined && next === refused) throw new RefusedToken()
      current = next
      return next
    } finally {
      asking = undefined
    }
  }

  return {
    async get() {
      return current ?? (asking ??= renew())
    },
    refuse(token) {
      // A late refusal of an older token says nothing of this one.
      if (token === undefined || token !== current) return
      refused = token
      current = undefined
    },
  }
}

/** Whom a token is for, unverified; undefined where it is no JWT. */
export function subjectOf(token: string | undefined): string | undefined {
  try {
    const payload = token!.split('.')[1]!.replaceAll('-', '+').replaceAll('_', '/')
    const { sub } = JSON.parse(atob(payload)) as { sub?: unknown }
    return typeof sub === 'string' ? sub : undefined
  } catch {
    return undefined
  }
}
