import type { Config } from '../config/config.ts'
import type { ErrorCode } from '../errors.ts'
import type { Logger } from '../logger.ts'
import type { AuditRow } from '../storage/rows.ts'
import type { Storage } from '../storage/storage.ts'
import { AuditBudget } from './auditBudget.ts'
import { auditId, insertAuditRows, pruneAuditRows } from './auditRows.ts'

/** What is noted: never the text of a message, a title or a token. */
export interface AuditNote {
  /** Name of the root field, or one of `signIn`, `connect`, `operation`, `request`, `refusals`. */
  action: string
  userId: string | null
  address: string | null
  requestId: string | null
  sessionId?: string | null
  /** Id of what it was done to, beside the session. */
  subjectId?: string | null
  /** Null where it worked. */
  errorCode: ErrorCode | null
  durationMs?: number
  /** How often it happened; once where left out. */
  times?: number
}

export interface AuditLogOptions {
  /** Milliseconds that an entry may wait to be stored with others; 1,000 by default. */
  flushMs?: number
  /** Entries that may wait while the database is away; 5,000 by default. */
  maxWaiting?: number
}

const minuteMs = 60_000
const dayMs = 86_400_000
const batchRows = 256
const retryMs = 2_000

/**
 * Notes beside the transactions of what they tell of: refusals, and what changes no row. They are stored some at a time,
 * soon, and never hold anybody up; where there are too many they are counted instead.
 */
export class AuditLog {
  readonly #storage: Storage
  readonly #logger: Logger
  readonly #retentionDays: number
  readonly #flushMs: number
  readonly #maxWaiting: number
  readonly #budget: AuditBudget
  readonly #stopping = new AbortController()
  #waiting: AuditRow[] = []
  #dropped = 0
  #flushing: Promise<void> | undefined
  #pruning: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #intervals: NodeJS.Timeout[] = []

  constructor(
    storage: Storage,
    logger: Logger,
    config: Pick<Config, 'auditRetentionDays' | 'auditRefusalsPerMinute'>,
    { flushMs = 1_000, maxWaiting = 5_000 }: AuditLogOptions = {},
  ) {
    this.#storage = storage
    this.#logger = logger
    this.#retentionDays = config.auditRetentionDays
    this.#budget = new AuditBudget(config.auditRefusalsPerMinute)
    this.#flushMs = flushMs
    this.#maxWaiting = maxWaiting
  }

  start(): void {
    const prune = (): void => void (this.#pruning = this.#prune())
    this.#intervals = [setInterval(() => this.#renew(), minuteMs), setInterval(prune, dayMs)]
    prune()
  }

  /** Stores what waits, if the database takes it. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    for (const interval of this.#intervals) clearInterval(interval)
    this.#renew()
    await this.#pruning
    await this.flush()
    // what was noted while the last batch was under way
    await this.flush()
    clearTimeout(this.#timer)
  }

  /** Entries that are not stored yet. */
  get waiting(): number {
    return this.#waiting.length
  }

  note(note: AuditNote): void {
    if (!this.#budget.take(note)) return
    const { action, errorCode, userId, address, requestId } = note
    if (errorCode) this.#logger.info('refused', { action, code: errorCode, userId, address, requestId })
    this.#add(note)
  }

  /** Resolves once what was noted before is stored, or the database did not take it. */
  flush(): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#flushing ??= this.#write().finally(() => (this.#flushing = undefined))
    return this.#flushing
  }

  #add({ userId, address, requestId, sessionId, subjectId, action, errorCode, durationMs, times }: AuditNote): void {
    if (this.#waiting.length >= this.#maxWaiting) {
      this.#dropped++
      return
    }
    this.#waiting.push({
      ...auditId(),
      userId,
      address: address || null,
      requestId,
      action,
      sessionId: sessionId ?? null,
      subjectId: subjectId ?? null,
      errorCode,
      durationMs: Math.round(durationMs ?? 0),
      times: times ?? 1,
    })
    if (!this.#flushing) this.#timer ??= setTimeout(() => void this.flush(), this.#flushMs)
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, batchRows)
      try {
        await insertAuditRows(this.#storage, batch)
      } catch (error) {
        this.#logger.warn('audit entries could not be stored', { error, waiting: this.#waiting.length })
        if (!this.#stopping.signal.aborted) this.#timer = setTimeout(() => void this.flush(), retryMs)
        return
      }
      this.#waiting = this.#waiting.slice(batch.length)
    }
    if (this.#dropped === 0) return
    this.#logger.warn('audit entries were dropped: more came than the database took', { dropped: this.#dropped })
    this.#dropped = 0
  }

  #renew(): void {
    for (const note of this.#budget.renew()) this.#add(note)
  }

  async #prune(): Promise<void> {
    if (this.#retentionDays === 0) return
    const before = new Date(Date.now() - this.#retentionDays * dayMs)
    try {
      const count = await pruneAuditRows(this.#storage, before, this.#stopping.signal)
      if (count > 0) this.#logger.info('old audit entries were deleted', { count })
    } catch (error) {
      this.#logger.warn('old audit entries could not be deleted', { error })
    }
  }
}
