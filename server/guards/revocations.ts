import { hash } from 'node:crypto'
import type { Bus, Unsubscribe } from '../bus/bus.ts'
import type { Logger } from '../logger.ts'
import type { Storage, Tx } from '../storage/storage.ts'
import type { Topics } from '../topics.ts'

/** What is left of a token once it is verified: enough to end it. */
export interface Credential {
  /** SHA-256 in hex, of what identifies the token or key. */
  readonly id: string
  /** `accountOf` of its user: what ends all that is theirs. */
  readonly account: string
  /** Thumbprint of the identity provider's key that signed it; null where another key did. */
  readonly signedBy: string | null
}

interface Open {
  readonly credential: Credential
  readonly end: () => void
}

/** What stands for all tokens and keys of a user, among the ids of single ones. */
export const accountOf = (userId: string): string => hash('sha256', `account ${userId}`)

/** For as long at most a token counts as verified without a look at the database. */
export const trustedForMs = 300_000

/** How often a node looks for what the bus may have lost. Two looks fit into the second that a revocation may take. */
const lookEveryMs = 500
const pruneEveryMs = 3_600_000
const keptForMs = 86_400_000

/** Tokens and keys that ended before their time, and what is open by any that may. */
export class Revocations {
  readonly #storage: Storage
  readonly #bus: Bus<Topics>
  readonly #logger: Logger
  /** When this node learned of each; those that are longer ago than anything is trusted are left out. */
  readonly #recent = new Map<string, number>()
  readonly #open = new Map<string, Set<Open>>()
  #lastSeq = 0
  #leave: Unsubscribe | undefined
  #lookTimer: NodeJS.Timeout | undefined
  #pruneTimer: NodeJS.Timeout | undefined
  #isStopped = false

  constructor(storage: Storage, bus: Bus<Topics>, logger: Logger) {
    this.#storage = storage
    this.#bus = bus
    this.#logger = logger
  }

  async start(): Promise<void> {
    this.#leave = await this.#bus.subscribe('revoked', 'all', ({ credential }) => this.#learn(credential))
    const [last] = await this.#storage.read.all<{ seq: number | null }>(`SELECT max(seq) AS seq FROM revoked_tokens`)
    this.#lastSeq = last?.seq ?? 0
    await this.#prune()
    this.#pruneTimer = setInterval(() => void this.#prune().catch(() => undefined), pruneEveryMs).unref()
    // a SQLite file has one server: nothing is revoked that it does not know of
    if (this.#storage.dialect.name === 'postgres') this.#lookSoon(true)
  }

  stop(): void {
    this.#isStopped = true
    this.#leave?.()
    clearTimeout(this.#lookTimer)
    clearInterval(this.#pruneTimer)
  }

  /** Ends a token or key on every node, once the transaction is committed. The last thing that it locks. */
  async revoke(tx: Tx, credential: string, expiresAt: Date): Promise<void> {
    // the lock makes the order of `seq` that of the commits
    if (this.#storage.dialect.name === 'postgres') await tx.run(`LOCK TABLE revoked_tokens IN SHARE ROW EXCLUSIVE MODE`)
    await tx.run(
      `INSERT INTO revoked_tokens (credential, expires_at) VALUES (?, ?) ON CONFLICT (credential) DO NOTHING`,
      [credential, expiresAt],
    )
    tx.afterCommit(() => {
      this.#learn(credential)
      this.#bus.publish('revoked', 'all', { credential })
    })
  }

  /** Whether this node knows that it was revoked, in the time for which it may have been trusted. */
  has({ id, account }: Pick<Credential, 'id' | 'account'>): boolean {
    return this.#recent.has(id) || this.#recent.has(account)
  }

  /** The same, by the database as well. */
  async isRevoked(credential: string): Promise<boolean> {
    if (this.#recent.has(credential)) return true
    const found = await this.#storage.read.all(`SELECT 1 FROM revoked_tokens WHERE credential = ?`, [credential])
    // or while that was read
    return found.length > 0 || this.#recent.has(credential)
  }

  /** Calls back once, when what a connection was opened by ends before its time; at once where it has. Returns what calls it off. */
  watch(credential: Credential, end: () => void): () => void {
    if (this.has(credential)) {
      end()
      return () => undefined
    }
    const mine: Open = { credential, end }
    for (const key of [credential.id, credential.account]) {
      let open = this.#open.get(key)
      if (!open) this.#open.set(key, (open = new Set()))
      open.add(mine)
    }
    return () => this.#forget(mine)
  }

  /** @returns whether it was open until now */
  #forget(mine: Open): boolean {
    let wasOpen = false
    for (const key of [mine.credential.id, mine.credential.account]) {
      const open = this.#open.get(key)
      if (!open?.delete(mine)) continue
      wasOpen = true
      if (open.size === 0) this.#open.delete(key)
    }
    return wasOpen
  }

  /** Ends what is open by credentials that meet a condition. */
  endWhere(isOver: (credential: Credential) => boolean): void {
    for (const open of [...this.#open.values()]) this.#end([...open].filter(({ credential }) => isOver(credential)))
  }

  #learn(credential: string): void {
    const now = performance.now()
    for (const [known, since] of this.#recent) {
      if (now - since < 2 * trustedForMs) break
      this.#recent.delete(known)
    }
    this.#recent.set(credential, now)
    this.#end([...(this.#open.get(credential) ?? [])])
  }

  #end(open: readonly Open[]): void {
    for (const one of open) if (this.#forget(one)) one.end()
  }

  #lookSoon(isWell: boolean): void {
    if (this.#isStopped) return
    this.#lookTimer = setTimeout(() => {
      this.#look().then(
        () => this.#lookSoon(true),
        (error: unknown) => {
          if (isWell && !this.#isStopped) this.#logger.warn('revoked tokens could not be read', { error })
          this.#lookSoon(false)
        },
      )
    }, lookEveryMs).unref()
  }

  async #look(): Promise<void> {
    const found = await this.#storage.read.all<{ seq: number; credential: string }>(
      `SELECT seq, credential FROM revoked_tokens WHERE seq > ? ORDER BY seq`,
      [this.#lastSeq],
    )
    for (const { seq, credential } of found) {
      this.#lastSeq = seq
      if (!this.#recent.has(credential)) this.#learn(credential)
    }
  }

  /** Where a token has ended by itself, by the clock of any node, nobody needs to know that it was revoked. */
  async #prune(): Promise<void> {
    await this.#storage.transaction((tx) =>
      tx.run(`DELETE FROM revoked_tokens WHERE expires_at < ?`, [new Date(Date.now() - keptForMs)]),
    )
  }
}
