import type { Bus } from './bus/bus.ts'
import type { Config } from './config/config.ts'
import type { User } from './entities/user.ts'
import type { Generations } from './generation/generations.ts'
import type { AuditLog } from './guards/auditLog.ts'
import type { Trail } from './guards/auditTrail.ts'
import type { Identity } from './guards/identity.ts'
import type { Limits } from './guards/limits.ts'
import type { Credential } from './guards/revocations.ts'
import type { Scope } from './guards/scopes.ts'
import type { Logger } from './logger.ts'
import type { SessionLog } from './log/sessionLog.ts'
import type { Metrics } from './metrics/metrics.ts'
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
  audit: AuditLog
  metrics: Metrics
  version: string
  /** Open WebSockets and event streams on this node. */
  connectionCount(): number
}

/** The cookie that a browser keeps the page's token in, out of reach of scripts. */
export interface TokenCookie {
  /** Whether it is what says who asks. */
  readonly isUsed: boolean
  /** Has the browser keep a token until it ends. */
  keep(token: string, expiresAt: Date): void
  clear(): void
}

/** Who asks, and with what. Fresh for each operation, and for each event of a subscription. */
export interface Context extends Services {
  viewer: User | null
  /** When the viewer's token ends; null where nobody asks. */
  expiresAt: Date | null
  /** What the viewer's credential may be used for; null where it has no limit of its own. */
  scopes: readonly Scope[] | null
  /** The viewer's token or key, as far as it must be known to end it; null where nobody asks. */
  credential: Credential | null
  /** Null where there can be none: over WebSocket, and for pages of other origins. */
  tokenCookie: TokenCookie | null
  /** Address that the request came from. */
  address: string
  /** Where the request reached this server, e.g. `https://chat.example`: our own page is there. */
  origin: string
  /** Id of the request, or of the operation over a socket; each line that `logger` writes has it. */
  requestId: string
  /** What the audit log and the metrics are told of it. */
  trail: Trail
  loaders: Loaders
}
