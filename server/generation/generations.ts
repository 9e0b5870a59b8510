import type { Bus, Unsubscribe } from '../bus/bus.ts'
import type { Config } from '../config/config.ts'
import { NotFoundError, ParleyError } from '../errors.ts'
import { childLogger, type Logger } from '../logger.ts'
import { follow } from '../log/follow.ts'
import type { SessionLog } from '../log/sessionLog.ts'
import type { Providers } from '../providers/registry.ts'
import type { Storage } from '../storage/storage.ts'
import type { Topics } from '../topics.ts'
import { DeltaWriter, type DeltaStream } from './deltaWriter.ts'
import { reap } from './reap.ts'
import { startRun, type Job, type Run } from './run.ts'

export interface GenerationsParts {
  config: Config
  logger: Logger
  storage: Storage
  bus: Bus<Topics>
  log: SessionLog
  providers: Providers
  nodeId: string
  /** Is told of each that runs here. */
  observer?: GenerationObserver
}

export interface GenerationObserver {
  generationStarted(): void
  /** @param timeToFirstTokenMs null where it never stored a token on its own */
  generationEnded(status: string, timeToFirstTokenMs: number | null): void
}

const checkpointMs = 1000
const stopRepeatMs = 1000
/** A reader adds up as many deltas in well under a millisecond. */
const checkpointCharacters = 4096

/** The generations that run on this node: starts and stops them, keeps their leases, and ends those whose node is gone. */
export class Generations {
  readonly nodeId: string
  readonly #parts: GenerationsParts
  readonly #writer: DeltaWriter
  readonly #running = new Map<string, Run>()
  /** Characters of a stream that are in its message itself, beside the log. */
  readonly #checkpointed = new WeakMap<DeltaStream, number>()
  #timers: NodeJS.Timeout[] = []
  #isClosing = false
  #isInterrupting = false
  readonly #stopAsked = new Set<string>()
  #unsubscribe: Unsubscribe | undefined

  constructor(parts: GenerationsParts) {
    this.nodeId = parts.nodeId
    this.#parts = parts
    this.#writer = new DeltaWriter(parts.storage, parts.log, parts.logger, parts.config.deltaFlushMs)
  }

  async start(): Promise<void> {
    const { bus, config, storage, log, logger, providers } = this.#parts
    const reapParts = { storage, log, providers, contextWindow: config.contextWindow }
    this.#unsubscribe = await bus.subscribe('stop', 'all', ({ generationId }) => {
      this.#running.get(generationId)?.abort('stopped')
    })
    // SQLite has one node: whatever still runs in the file was left behind by its former self
    if (storage.dialect.name === 'sqlite') await reap(reapParts, { anyLeaseBut: this.nodeId })
    const every = (ms: number, what: string, atOnce: number, work: () => Promise<unknown>): NodeJS.Timeout => {
      let running = 0
      return setInterval(() => {
        if (running === atOnce) return
        running++
        void work()
          .catch((error: unknown) => logger.error(`${what} failed`, { error }))
          .finally(() => running--)
      }, ms)
    }
    this.#timers = [
      // some at once: one that waits for a silent connection must not cost the leases
      every(config.leaseRenewMs, 'renewing leases', 3, () => this.#renew()),
      // a second one would only want the same rows
      every(config.leaseRenewMs, 'looking for lost generations', 1, () => reap(reapParts)),
      every(checkpointMs, 'writing checkpoints', 1, () => this.#checkpoint()),
    ]
  }

  /** Runs a generation whose rows are committed. */
  run(job: Job): void {
    const { storage, log, logger, providers, config, observer } = this.#parts
    const run = startRun(
      {
        storage,
        log,
        logger: childLogger(logger, { requestId: job.requestId }),
        providers,
        writer: this.#writer,
        contextWindow: config.contextWindow,
      },
      job,
    )
    this.#running.set(job.generationId, run)
    if (this.#stopAsked.delete(job.generationId)) run.abort('stopped')
    else if (this.#isInterrupting) run.abort('interrupted')
    observer?.generationStarted()
    void run.done.then((status) => {
      this.#running.delete(job.generationId)
      observer?.generationEnded(status, run.stream.timeToFirstTokenMs)
    })
  }

  /** When a lease that is taken or renewed now ends, as SQL: by the clock of the database, since those of nodes differ. */
  get leaseUntil(): string {
    return this.#parts.storage.dialect.later(this.#parts.config.leaseMs)
  }

  /** On this node. */
  runningCount(): number {
    return this.#running.size
  }

  /** On this node, by whether the model has said something yet. */
  runningByState(): { PENDING: number; STREAMING: number } {
    const counts = { PENDING: 0, STREAMING: 0 }
    for (const { stream } of this.#running.values())
      counts[stream.timeToFirstTokenMs === null ? 'PENDING' : 'STREAMING']++
    return counts
  }

  /**
   * Stops a generation wherever it runs. Resolves once its provider's connection is closed and its end is stored; at
   * once where it had ended.
   * @throws NotFoundError where there is no such generation
   */
  async stop(generationId: string): Promise<void> {
    const local = this.#running.get(generationId)
    if (local) {
      local.abort('stopped')
      await local.done
      return
    }
    const { bus, log } = this.#parts
    const before = await this.#find(generationId)
    if (before.hasEnded) return
    // it may be stored and not yet run, just now, on this node
    this.#stopAsked.add(generationId)
    const controller = new AbortController()
    let repeated: NodeJS.Timeout | undefined
    try {
      const events = follow(log, before.sessionId, {
        after: before.lastSeq,
        viewerId: this.nodeId,
        signal: controller.signal,
      })
      const ended = this.#untilEnded(events, generationId)
      const ask = (): void => bus.publish('stop', 'all', { generationId })
      ask()
      // the bus may lose it
      repeated = setInterval(ask, stopRepeatMs)
      await ended
    } finally {
      clearInterval(repeated)
      controller.abort()
      this.#stopAsked.delete(generationId)
    }
  }

  /**
   * Refuses new work, lets running generations end by themselves for up to `timeoutMs` milliseconds or until `hurry`
   * is aborted, then interrupts them.
   */
  async close(timeoutMs: number, hurry?: AbortSignal): Promise<void> {
    this.#isClosing = true
    const all = Promise.all([...this.#running.values()].map((run) => run.done))
    const patience = AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(hurry ? [hurry] : [])])
    const isOver = new Promise<void>((resolve) => {
      if (patience.aborted) resolve()
      else patience.addEventListener('abort', () => resolve(), { once: true })
    })
    await Promise.race([all, isOver])
    // also those that began meanwhile, or begin now: their sends were let in before
    this.#isInterrupting = true
    while (this.#running.size > 0) {
      const rest = [...this.#running.values()]
      for (const run of rest) run.abort('interrupted')
      await Promise.all(rest.map((run) => run.done))
    }
    for (const interval of this.#timers) clearInterval(interval)
    this.#unsubscribe?.()
    this.#writer.stop()
  }

  /** @throws ParleyError while the server is stopping: another node, or this one once it is back, takes the same send */
  requireOpen(): void {
    if (this.#isClosing) throw new ParleyError('INTERNAL', 'The server is restarting. Send it again under the same id.')
  }

  async #untilEnded(events: AsyncGenerator<{ kind: string; subjectId: string | null }>, id: string): Promise<void> {
    for await (const event of events)
      if (event.kind === 'SessionDeleted' || (event.kind === 'GenerationEnded' && event.subjectId === id)) return
  }

  async #find(id: string): Promise<{ sessionId: string; hasEnded: boolean; lastSeq: number }> {
    const [row] = await this.#parts.storage.read.all<{ sessionId: string; endedAt: unknown; lastSeq: number }>(
      `SELECT g.session_id AS "sessionId", g.ended_at AS "endedAt", l.last_seq AS "lastSeq"
       FROM generations g JOIN session_logs l ON l.session_id = g.session_id WHERE g.id = ?`,
      [id],
    )
    if (!row) throw new NotFoundError('There is no such generation.')
    return { sessionId: row.sessionId, hasEnded: row.endedAt !== null, lastSeq: row.lastSeq }
  }

  async #renew(): Promise<void> {
    if (this.#running.size === 0) return
    const { storage } = this.#parts
    const { dialect } = storage
    // only those that run: one whose end could not be stored is left to the reaper
    await storage.transaction((tx) =>
      tx.run(
        // locked in the order in which the writer of deltas locks them
        `UPDATE generations SET lease_until = ${this.leaseUntil} WHERE id IN (
           SELECT id FROM generations WHERE owner_node = ? AND ended_at IS NULL AND ${dialect.isIn('id')}
           ORDER BY id ${dialect.forUpdate})`,
        [this.nodeId, dialect.list([...this.#running.keys()])],
      ),
    )
  }

  /** Writes the text of long answers into their messages, so that whoever queries them meanwhile adds up few deltas. */
  async #checkpoint(): Promise<void> {
    const grown = [...this.#running.values()]
      .map(({ stream }) => stream)
      .filter((stream) => stream.stored.length - (this.#checkpointed.get(stream) ?? 0) >= checkpointCharacters)
    if (grown.length === 0) return
    const written = grown.map((stream) => ({ stream, length: stream.stored.length }))
    await this.#parts.storage.transaction(async (tx) => {
      for (const { stored, lastSeq, messageId } of grown)
        await tx.run(
          `UPDATE messages SET content = ?, content_seq = ? WHERE id = ? AND content_seq < ? AND status = 'STREAMING'`,
          [stored, lastSeq, messageId, lastSeq],
        )
    })
    for (const { stream, length } of written) this.#checkpointed.set(stream, length)
  }
}
