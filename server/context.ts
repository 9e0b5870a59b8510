import type { Bus } from './bus/bus.ts'
import type { Config } from './config.ts'
import type { User } from './entities/user.ts'
import type { Generations } from './generation/generations.ts'
import type { Identity } from './guards/identity.ts'
import type { Limits } from './guards/limits.ts'
import type { Logger } from './logger.ts'
import type { SessionLog } from './log/sessionLog.ts'
import type { Presence } from './presence/presence.ts'
import type { Providers } from './providers/registry.ts'
import type { Loaders } from './resolvers/loaders.ts'
import type { Storage } from './storage/storage.ts'
import type { Topics } from './topics.ts'

/** The parts that live as long as the server does; app.ts makes and wires them. */
export interface Services {
  config: Config
  logger: Logger
  storage: Storage
  bus: Bus<Topics>
  log: SessionLog
  presence: Presence
  providers: Providers
  generations: Generations
  identity: Identity
  limits: Limits
  version: string
  /** Open WebSockets and event streams on this node. */
  connectionCount(): number
}

/** Who asks, and with what. Fresh for each operation, and for each event of a subscription. */
export interface Context extends Services {
  viewer: User | null
  /** When the viewer's token ends; null where nobody asks. */
  expiresAt: Date | null
  /** Address that the request came from. */
  address: string
  loaders: Loaders
}
