import type { Context, Services } from '../context.ts'
import type { User } from '../entities/user.ts'
import { createLoaders } from './loaders.ts'

export interface Asker {
  viewer: User | null
  expiresAt: Date | null
  address: string
}

export const createContext = (services: Services, { viewer, expiresAt, address }: Asker): Context => ({
  ...services,
  viewer,
  expiresAt,
  address,
  loaders: createLoaders(services),
})

/** The same asker with nothing loaded yet: for the next event of a subscription. */
export const freshContext = (context: Context): Context => ({ ...context, loaders: createLoaders(context) })
