import type { WebSocket } from 'ws'
import type { Services } from '../context.ts'
import type { Asker } from '../resolvers/createContext.ts'
import { at } from './at.ts'

/** An open socket and whose it is. */
export interface Visitor {
  readonly socket: WebSocket
  asker: Asker
  /** Undoes what signing in did, once the socket is closed. */
  readonly release: (() => void)[]
}

/** Lets users in: by their token, so many sockets each, and for as long as the token lasts. */
export class Admission {
  readonly #services: Pick<Services, 'config' | 'identity' | 'presence'>
  readonly #socketsOf = new Map<string, number>()

  constructor(services: Pick<Services, 'config' | 'identity' | 'presence'>) {
    this.#services = services
  }

  /**
   * Makes the token's user the socket's, and counts it among theirs; nobody's where there is no token.
   * @throws UnauthenticatedError for a token that is not valid
   */
  async signIn(visitor: Visitor, authorization: unknown): Promise<void> {
    const { config, identity, presence } = this.#services
    const header = typeof authorization === 'string' ? authorization : JSON.stringify(authorization ?? '')
    const verified = await identity.fromHeader(header === '""' ? null : header)
    if (!verified) return
    // closed meanwhile: `release` was emptied already, and what is counted now would be counted for ever
    if (visitor.socket.readyState !== visitor.socket.OPEN) return
    const { user, expiresAt } = verified
    visitor.asker = { ...visitor.asker, viewer: user, expiresAt }
    const count = (this.#socketsOf.get(user.id) ?? 0) + 1
    if (count > config.maxSocketsPerUser)
      return visitor.socket.close(4429, `At most ${config.maxSocketsPerUser} connections a user`)
    this.#socketsOf.set(user.id, count)
    visitor.release.push(
      () => this.#closed(user.id),
      presence.connected(user.id),
      at(expiresAt, () => visitor.socket.close(4403, 'The token has expired')),
    )
  }

  #closed(userId: string): void {
    const left = this.#socketsOf.get(userId)! - 1
    if (left === 0) this.#socketsOf.delete(userId)
    else this.#socketsOf.set(userId, left)
  }
}
