import { micros } from './clock.ts'
import { numberAt, timeAt, tokenLength } from './tokens.ts'

export interface Sample {
  frames: number
  tokens: number
  /** Milliseconds from the making of a token to its arrival, of those that came since the last sample. */
  p50: number
  p99: number
}

/** What one follower has got so far of its stream. */
export interface Stream {
  frames: number
  /** Number of the token that must come next. */
  next: number
  isTimed: boolean
}

/** Counts what arrives, and checks that every stream gets every token once and in order. */
export class Reception {
  readonly streams: Stream[] = []
  #delays: number[] = []
  #problem: Error | undefined
  #frames = 0
  #tokens = 0

  add(from: number, isTimed: boolean): Stream {
    const stream = { frames: 0, next: from, isTimed }
    this.streams.push(stream)
    return stream
  }

  /** Takes one delta whose text is the bytes from `start` to `end`. */
  take(stream: Stream, bytes: Buffer, start: number, end: number): void {
    const count = (end - start) / tokenLength
    const n = numberAt(bytes, start)
    if (n !== stream.next || !Number.isInteger(count) || count === 0)
      this.fail(
        `token ${stream.next} was expected, but this came: ${bytes.toString('latin1', start, end).slice(0, 60)}`,
      )
    stream.next = n + count
    stream.frames++
    this.#frames++
    this.#tokens += count
    if (stream.isTimed) this.#delays.push(micros() - timeAt(bytes, end - tokenLength))
  }

  fail(what: string): void {
    this.#problem ??= new Error(what)
  }

  sample(): Sample {
    if (this.#problem) throw this.#problem
    const delays = this.#delays.sort((a, b) => a - b)
    this.#delays = []
    const at = (share: number) => (delays[Math.floor(delays.length * share)] ?? 0) / 1000
    return { frames: this.#frames, tokens: this.#tokens, p50: at(0.5), p99: at(0.99) }
  }

  /** Resolves once the first `count` streams have all tokens below `next`. */
  async reach(next: number, timeoutMs: number, count = this.streams.length): Promise<void> {
    const until = performance.now() + timeoutMs
    const wanted = this.streams.slice(0, count)
    while (true) {
      if (this.#problem) throw this.#problem
      const behind = wanted.filter((stream) => stream.next < next)
      if (behind.length === 0) return
      if (performance.now() > until)
        throw new Error(`${behind.length} of ${count} followers are behind: at ${behind[0]!.next}, not at ${next}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}
