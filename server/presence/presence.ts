import type { Bus, Unsubscribe } from '../bus/bus.ts'
import { noDirectory, type Directory } from './directory.ts'
import { sessionEvent } from '../log/event.ts'
import type { SessionLog } from '../log/sessionLog.ts'
import type { Logger } from '../logger.ts'
import type { Storage } from '../storage/storage.ts'
import type { Topics } from '../topics.ts'

export interface PresenceOptions {
  /** Milliseconds after which a typist who sends no more has stopped. Default 5000. */
  typingTimeoutMs?: number
  /** Milliseconds without a connection before someone counts as gone, so that a reload does not flicker. Default 2000. */
  leaveDelayMs?: number
  /** Who is connected to other nodes; by default nobody. */
  directory?: Directory
}

/** How often this node says who is here, and looks whether those elsewhere still are. */
const refreshMs = 10_000

/** Who is connected and who is typing. Nothing of it is stored but when someone was last seen. */
export class Presence {
  readonly #storage: Storage
  readonly #bus: Bus<Topics>
  readonly #log: SessionLog
  readonly #logger: Logger
  readonly #typingTimeoutMs: number
  readonly #leaveDelayMs: number
  readonly #directory: Directory
  readonly #connections = new Map<string, number>()
  readonly #leaving = new Map<string, NodeJS.Timeout>()
  readonly #typing = new Map<string, NodeJS.Timeout>()
  /** People on other nodes, as far as this one was told. */
  readonly #elsewhere = new Set<string>()
  #unsubscribe: Unsubscribe | undefined
  #timer: NodeJS.Timeout | undefined
  #isStopped = false
  #telling = Promise.resolve()

  constructor(storage: Storage, bus: Bus<Topics>, log: SessionLog, logger: Logger, options: PresenceOptions = {}) {
    this.#storage = storage
    this.#bus = bus
    this.#log = log
    this.#logger = logger
    this.#typingTimeoutMs = options.typingTimeoutMs ?? 5000
    this.#leaveDelayMs = options.leaveDelayMs ?? 2000
    this.#directory = options.directory ?? noDirectory
  }

  async start(): Promise<void> {
    this.#unsubscribe = await this.#bus.subscribe('presence', 'all', (change) => {
      if (change.isOnline && !this.#connections.has(change.userId)) this.#elsewhere.add(change.userId)
      else this.#elsewhere.delete(change.userId)
      this.#inTurn('presence could not be told', () => this.#tell(change))
    })
    this.#timer = setInterval(() => this.#inTurn('presence could not be refreshed', () => this.#refresh()), refreshMs)
  }

  stop(): void {
    this.#isStopped = true
    this.#unsubscribe?.()
    clearInterval(this.#timer)
    for (const timer of [...this.#leaving.values(), ...this.#typing.values()]) clearTimeout(timer)
    this.#leaving.clear()
    this.#typing.clear()
  }

  /**
   * Counts a connection of a user.
   * @returns what to call once it is closed
   */
  connected(userId: string): () => void {
    const count = (this.#connections.get(userId) ?? 0) + 1
    this.#connections.set(userId, count)
    const leaving = this.#leaving.get(userId)
    clearTimeout(leaving)
    this.#leaving.delete(userId)
    if (count === 1 && !leaving) this.#changed(userId, true)
    let isOpen = true
    return () => {
      if (!isOpen) return
      isOpen = false
      const left = this.#connections.get(userId)! - 1
      this.#connections.set(userId, left)
      if (left === 0 && !this.#isStopped)
        this.#leaving.set(
          userId,
          setTimeout(() => this.#left(userId), this.#leaveDelayMs),
        )
    }
  }

  /** Shows those who follow a session of theirs that they are called otherwise now. */
  renamed(userId: string): void {
    this.#inTurn('a name could not be told', async () => {
      const isOnline = (await this.onlineAmong([userId])).has(userId)
      if (!this.#isStopped) this.#bus.publish('presence', 'all', { userId, isOnline })
    })
  }

  /** Which of these people are connected. */
  async onlineAmong(userIds: readonly string[]): Promise<Set<string>> {
    const elsewhere = await this.#directory.elsewhere(userIds).catch(() => new Set<string>())
    return new Set(userIds.filter((id) => this.#connections.has(id) || elsewhere.has(id)))
  }

  /** Tells the session who types. Typing lapses by itself unless it is repeated. */
  setTyping(sessionId: string, userId: string, isTyping: boolean): void {
    if (this.#isStopped) return
    const key = `${sessionId}:${userId}`
    const was = this.#typing.get(key)
    clearTimeout(was)
    this.#typing.delete(key)
    if (isTyping)
      this.#typing.set(
        key,
        setTimeout(() => this.setTyping(sessionId, userId, false), this.#typingTimeoutMs),
      )
    // repeated also where it is no news: whoever came to the session meanwhile has not heard it
    if (isTyping || was)
      this.#log.passBy(sessionEvent({ kind: 'TypingChanged', sessionId, subjectId: userId, isOn: isTyping }))
  }

  #left(userId: string): void {
    this.#leaving.delete(userId)
    this.#connections.delete(userId)
    this.#changed(userId, false)
  }

  #changed(userId: string, isOnline: boolean): void {
    const seenAt = new Date()
    this.#inTurn('presence could not be entered', async () => {
      const entered = isOnline ? this.#directory.enter(userId) : this.#directory.leave(userId)
      // who is connected to another node as well neither came nor went
      if (!(await entered.catch(() => false))) this.#bus.publish('presence', 'all', { userId, isOnline })
    })
    this.#inTurn('last seen could not be stored', async () => {
      if (this.#isStopped) return
      await this.#storage.transaction((tx) =>
        tx.run(`UPDATE users SET last_seen_at = ? WHERE id = ?`, [seenAt, userId]),
      )
    })
  }

  /** In turn, or somebody who went and came back could end up as gone. */
  #inTurn(failure: string, work: () => Promise<void>): void {
    this.#telling = this.#telling.then(work).catch((error: unknown) => this.#logger.error(failure, { error }))
  }

  /** A node that died said of nobody that they went. */
  async #refresh(): Promise<void> {
    await this.#directory.refresh(this.#connections.keys())
    const still = await this.#directory.elsewhere([...this.#elsewhere])
    for (const userId of this.#elsewhere) {
      if (still.has(userId) || this.#connections.has(userId)) continue
      this.#elsewhere.delete(userId)
      await this.#tell({ userId, isOnline: false })
    }
  }

  /** Tells those sessions of the user that someone follows on this node. */
  async #tell({ userId, isOnline }: { userId: string; isOnline: boolean }): Promise<void> {
    const followed = this.#log.followedSessions()
    if (followed.length === 0) return
    const { dialect, read } = this.#storage
    const sessions = await read.all<{ sessionId: string }>(
      `SELECT session_id AS "sessionId" FROM participants WHERE user_id = ? AND ${dialect.isIn('session_id')}`,
      [userId, dialect.list(followed)],
    )
    for (const { sessionId } of sessions)
      this.#log.passByHere(sessionEvent({ kind: 'PresenceChanged', sessionId, subjectId: userId, isOn: isOnline }))
  }
}
