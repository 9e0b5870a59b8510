import type { WebSocket } from 'ws'
import type { Services } from '../context.ts'
import type { Verified } from '../guards/identity.ts'
import { networkOf } from '../guards/network.ts'
import { askerOf, type Asker } from '../resolvers/createContext.ts'
import { Expiries } from './expiries.ts'

/** An open socket and whose it is. */
export interface Visitor {
  readonly socket: WebSocket
  asker: Asker
  /** The token that the browser of one of our own pages keeps. */
  readonly cookieToken: string | undefined
  /** Undoes what signing in did, once the socket is closed. */
  release: (() => void)[]
}

/** How long a socket whose token was revoked stays open for the answer to what revoked it; nobody's by then. */
const farewellMs = 400

/** Lets users in: by their token, so many sockets each, and for as long as the token lasts. */
export class Admission {
  readonly #services: Pick<Services, 'config' | 'identity' | 'presence'>
  readonly #socketsOf = new Map<string, number>()
  readonly #anonymousOf = new Map<string, number>()
  readonly #expiries = new Expiries<Visitor>(({ socket }) => socket.close(4403, 'The token has expired'))

  constructor(services: Pick<Services, 'config' | 'identity' | 'presence'>) {
    this.#services = services
  }

  /**
   * Makes the user of the header's token the socket's, else that of the cookie's, and counts it among theirs; nobody's
   * where there is neither.
   * @throws UnauthenticatedError for a token that is not valid; what `Identity.verify` throws
   */
  async signIn(visitor: Visitor, authorization: unknown): Promise<void> {
    const { identity } = this.#services
    const isText = authorization == null || typeof authorization === 'string'
    let verified = await identity.fromHeader(isText ? authorization : JSON.stringify(authorization))
    if (!verified && visitor.cookieToken !== undefined) verified = await identity.verify(visitor.cookieToken)
    if (verified) this.#admit(visitor, verified)
    else this.#admitNobody(visitor)
  }

  /** The same for the header of an operation: of one whom the cookie says to be someone it makes who the header says. */
  async signInAgain(visitor: Visitor, authorization: unknown): Promise<void> {
    const { viewer, credential } = visitor.asker
    if (!viewer) return this.signIn(visitor, authorization)
    if (visitor.cookieToken === undefined || typeof authorization !== 'string') return
    const verified = await this.#services.identity.fromHeader(authorization)
    if (!verified || verified.credential.id === credential?.id) return
    this.#admit(visitor, verified)
  }

  #admit(visitor: Visitor, verified: Verified): void {
    const { config, identity, presence } = this.#services
    // closed meanwhile: `release` was emptied already, and what is counted now would be counted for ever
    if (visitor.socket.readyState !== visitor.socket.OPEN) return
    for (const undo of visitor.release.splice(0)) undo()
    const { user, expiresAt, credential } = verified
    visitor.asker = askerOf(verified, visitor.asker)
    const count = (this.#socketsOf.get(user.id) ?? 0) + 1
    if (count > config.maxSocketsPerUser)
      return visitor.socket.close(4429, `At most ${config.maxSocketsPerUser} connections a user`)
    this.#socketsOf.set(user.id, count)
    this.#expiries.add(expiresAt, visitor)
    const disconnected = presence.connected(user.id)
    const unwatch = identity.onRevoked(credential, () => this.#revoked(visitor))
    visitor.release = [
      () => {
        countDown(this.#socketsOf, user.id)
        this.#expiries.delete(expiresAt, visitor)
        disconnected()
        unwatch()
      },
    ]
  }

  /** Whoever says nothing of who they are is counted by where they come from. */
  #admitNobody(visitor: Visitor): void {
    const { maxAnonymousSocketsPerAddress: limit } = this.#services.config
    // counted already, or closed meanwhile
    if (visitor.release.length > 0 || visitor.socket.readyState !== visitor.socket.OPEN) return
    const network = networkOf(visitor.asker.address)
    const count = (this.#anonymousOf.get(network) ?? 0) + 1
    if (count > limit) return visitor.socket.close(4429, `At most ${limit} connections an address without a token`)
    this.#anonymousOf.set(network, count)
    visitor.release = [() => countDown(this.#anonymousOf, network)]
  }

  #revoked(visitor: Visitor): void {
    // what it still sends is nobody's
    visitor.asker = askerOf(null, visitor.asker)
    const timer = setTimeout(() => visitor.socket.close(4403, 'The token was revoked'), farewellMs)
    visitor.release.push(() => clearTimeout(timer))
  }
}

function countDown(counts: Map<string, number>, key: string): void {
  const left = counts.get(key)! - 1
  if (left === 0) counts.delete(key)
  else counts.set(key, left)
}
