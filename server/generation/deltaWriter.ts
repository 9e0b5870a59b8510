import type { Logger } from '../logger.ts'
import { deltaEvent } from '../log/event.ts'
import type { SessionLog } from '../log/sessionLog.ts'
import type { DeltaRow, Storage, StoredEvent } from '../storage/storage.ts'

/** What the writer knows of one running generation's message. */
export interface DeltaStream {
  readonly sessionId: string
  readonly logId: number
  readonly generationId: string
  /** Raised by the writer itself where it can't know what became of a write. */
  fence: number
  readonly messageId: string
  readonly messageSeq: number
  readonly startedAt: Date
  /** Text that is stored and was shown. */
  stored: string
  /** Text that is neither yet. */
  pending: string
  /** `seq` of the last stored delta; that of the message itself before the first. */
  lastSeq: number
  timeToFirstTokenMs: number | null
  /** The lease was taken away: nothing of this stream is written any more. */
  onLost(): void
}

const retryMs = 500
const readAtOnce = 1_000
const replacement = '�'
const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff

/**
 * Stores the deltas of all running generations of this node together, then shows them: at once when it is idle, else
 * every `flushMs` milliseconds; a generation's first delta always at once.
 */
export class DeltaWriter {
  readonly #storage: Storage
  readonly #log: SessionLog
  readonly #logger: Logger
  readonly #flushMs: number
  readonly #waiting = new Set<DeltaStream>()
  #flushing: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  #isSoon = false
  #lastFlushAt = 0
  /** Streams whose last write failed without saying whether it was committed. */
  readonly #uncertain = new Set<DeltaStream>()

  constructor(storage: Storage, log: SessionLog, logger: Logger, flushMs: number) {
    this.#storage = storage
    this.#log = log
    this.#logger = logger
    this.#flushMs = flushMs
  }

  push(stream: DeltaStream, text: string): void {
    if (text === '') return
    stream.pending += text
    this.#waiting.add(stream)
    this.#schedule(stream.timeToFirstTokenMs === null)
  }

  /** Takes a stream's last text out of the writer, once what is being written of it is written. */
  async finish(stream: DeltaStream): Promise<string> {
    while (this.#flushing || this.#uncertain.has(stream)) await (this.#flushing ?? this.#reconcileAlone(stream))
    this.#waiting.delete(stream)
    // a server that does nothing writes nothing
    await this.#storage.settleDeltas(stream.logId).catch(() => undefined)
    const rest = stream.pending
    stream.pending = ''
    return storable(rest)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#waiting.clear()
  }

  #schedule(isFirst: boolean): void {
    if (this.#flushing || this.#isSoon) return
    // the last flush lies in the future while the database is left alone
    const sinceMs = performance.now() - this.#lastFlushAt
    const waitMs = this.#flushMs - sinceMs
    if (waitMs <= 0) return this.#flushSoon(false)
    this.#timer ??= setTimeout(() => this.#flush(false), waitMs)
    if (isFirst && sinceMs >= 0) this.#flushSoon(true)
  }

  #flushSoon(firstOnly: boolean): void {
    this.#isSoon = true
    // after the provider's chunk is read to its end: all its tokens go into one row
    queueMicrotask(() => {
      this.#isSoon = false
      this.#flush(firstOnly)
    })
  }

  /** @param firstOnly leaves all but first deltas to the tick: whoever waits for the first one should not wait for those */
  #flush(firstOnly: boolean): void {
    if (!firstOnly) {
      clearTimeout(this.#timer)
      this.#timer = undefined
    }
    if (this.#flushing || this.#waiting.size === 0) return
    this.#flushing = this.#write(firstOnly).then((waitMs) => {
      this.#flushing = undefined
      if (waitMs > 0) {
        // the tick of what waited beside a first delta would not leave the database alone
        clearTimeout(this.#timer)
        this.#timer = undefined
      }
      if (!firstOnly || waitMs > 0) this.#lastFlushAt = performance.now() + waitMs
      this.#scheduleWaiting()
    })
  }

  #scheduleWaiting(): void {
    for (const stream of this.#waiting) {
      if (stream.pending === '') continue
      this.#schedule(stream.timeToFirstTokenMs === null)
      if (this.#isSoon) break
    }
  }

  /** @returns milliseconds to stay away from the database, 0 where it took the deltas */
  async #write(firstOnly: boolean): Promise<number> {
    const batch: { stream: DeltaStream; row: DeltaRow }[] = []
    try {
      if (this.#uncertain.size > 0) await this.#reconcile([...this.#uncertain])
      for (const stream of this.#waiting) {
        if (firstOnly && stream.timeToFirstTokenMs !== null) continue
        this.#waiting.delete(stream)
        const row = takeRow(stream)
        if (row) batch.push({ stream, row })
      }
      if (batch.length === 0) return 0
      const seqs = await this.#storage.appendDeltas(batch.map(({ row }) => row))
      for (const [index, { stream, row }] of batch.entries()) this.#written(stream, row, seqs[index]!)
      return 0
    } catch (error) {
      this.#logger.error('deltas could not be stored; trying again', { error, generations: batch.length })
      for (const { stream, row } of batch) {
        stream.pending = row.text + stream.pending
        this.#uncertain.add(stream)
        this.#waiting.add(stream)
      }
      return retryMs
    }
  }

  #written(stream: DeltaStream, row: DeltaRow, seq: number): void {
    if (seq === 0) return this.#lost(stream)
    stream.stored += row.text
    stream.lastSeq = seq
    stream.timeToFirstTokenMs ??= row.timeToFirstTokenMs
    this.#log.publish(stream.sessionId, [deltaEvent(stream.sessionId, seq, stream.messageId, row.textOffset, row.text)])
  }

  #lost(stream: DeltaStream): void {
    this.#waiting.delete(stream)
    stream.pending = ''
    stream.onLost()
  }

  /** In the place of a write: one that ran meanwhile would reconcile the stream a second time, or take text from it. */
  async #reconcileAlone(stream: DeltaStream): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#flushing = promise
    try {
      await this.#reconcile([stream])
    } finally {
      this.#flushing = undefined
      resolve()
      this.#scheduleWaiting()
    }
  }

  /** Finds out whether a write whose answer was lost was committed after all, so that it is not stored twice. */
  async #reconcile(streams: DeltaStream[]): Promise<void> {
    for (const stream of streams) {
      const isOurs = await this.#fenceOff(stream)
      const last = isOurs ? await this.#lastStored(stream) : undefined
      this.#uncertain.delete(stream)
      if (!isOurs) this.#lost(stream)
      if (!last) continue
      const text = last.data ?? ''
      stream.pending = stream.pending.slice(text.length)
      stream.stored += text
      stream.lastSeq = last.seq
      stream.timeToFirstTokenMs ??= Date.now() - stream.startedAt.getTime()
      // its followers read it from the database: the event comes with a seq that their tail lacks
      this.#log.publish(stream.sessionId, [
        deltaEvent(stream.sessionId, last.seq, stream.messageId, last.textOffset ?? 0, text),
      ])
    }
  }

  /**
   * Keeps a lost write from coming true from now on: its connection is gone, but what was sent may yet be read. Waits for
   * one that is under way. A fence that is higher already, of a generation that has not ended, was raised here, and the
   * answer to that was lost: who takes a lease away ends the generation with it.
   * @returns false where the lease was taken away
   */
  async #fenceOff(stream: DeltaStream): Promise<boolean> {
    const [row] = await this.#storage.transaction((tx) =>
      tx.all<{ fence: number }>(
        `UPDATE generations SET fence = fence + 1 WHERE id = ? AND fence >= ? AND ended_at IS NULL RETURNING fence`,
        [stream.generationId, stream.fence],
      ),
    )
    if (row) stream.fence = row.fence
    return row !== undefined
  }

  /** The newest delta in the log beyond the last that is known to be. */
  async #lastStored({ logId, messageSeq, lastSeq }: DeltaStream): Promise<StoredEvent | undefined> {
    let last: StoredEvent | undefined
    for (let after = lastSeq; ;) {
      const events = await this.#storage.readEvents(logId, after, readAtOnce)
      last = events.findLast((event) => event.messageSeq === messageSeq) ?? last
      if (events.length < readAtOnce) return last
      after = events.at(-1)!.seq
    }
  }
}

/** The next delta of a stream; undefined where all that waits is half a character. */
function takeRow(stream: DeltaStream): DeltaRow | undefined {
  const { pending } = stream
  const end = isHighSurrogate(pending.charCodeAt(pending.length - 1)) ? pending.length - 1 : pending.length
  if (end === 0) return undefined
  stream.pending = pending.slice(end)
  return {
    logId: stream.logId,
    generationId: stream.generationId,
    fence: stream.fence,
    messageId: stream.messageId,
    messageSeq: stream.messageSeq,
    textOffset: stream.stored.length,
    text: storable(pending.slice(0, end)),
    timeToFirstTokenMs: stream.timeToFirstTokenMs === null ? Date.now() - stream.startedAt.getTime() : null,
  }
}

/** Text as both databases can hold it: half a surrogate pair and NUL become U+FFFD. Keeps the length. */
const storable = (text: string): string => text.toWellFormed().replaceAll('\0', replacement)
