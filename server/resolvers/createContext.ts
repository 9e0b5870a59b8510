import { randomUUID } from 'node:crypto'
import type { Context, Services, TokenCookie } from '../context.ts'
import type { User } from '../entities/user.ts'
import { createTrail, type Trail } from '../guards/auditTrail.ts'
import type { Verified } from '../guards/identity.ts'
import type { Credential } from '../guards/revocations.ts'
import type { Scope } from '../guards/scopes.ts'
import { childLogger } from '../logger.ts'
import { createLoaders } from './loaders.ts'

export interface Asker {
  viewer: User | null
  expiresAt: Date | null
  scopes: readonly Scope[] | null
  credential: Credential | null
  address: string
  /** As in `Context`. */
  origin: string
  /** Of the request that it asks by; a new one where left out. */
  trail?: Trail
}

/** Whom a credential shows to be asking; nobody where there is none. */
export const askerOf = (verified: Verified | null, { address, origin }: Pick<Asker, 'address' | 'origin'>): Asker => ({
  viewer: verified?.user ?? null,
  expiresAt: verified?.expiresAt ?? null,
  scopes: verified?.scopes ?? null,
  credential: verified?.credential ?? null,
  address,
  origin,
})

export const createContext = (
  services: Services,
  { viewer, expiresAt, scopes, credential, address, origin, trail = createTrail(randomUUID(), address) }: Asker,
  tokenCookie: TokenCookie | null = null,
): Context => ({
  ...services,
  logger: childLogger(services.logger, { requestId: trail.requestId }),
  viewer,
  expiresAt,
  scopes,
  credential,
  tokenCookie,
  address,
  origin,
  requestId: trail.requestId,
  trail,
  loaders: createLoaders(services),
})

/** The same asker with nothing loaded yet: for the next event of a subscription. */
export const freshContext = (context: Context): Context => ({ ...context, loaders: createLoaders(context) })
