import type { ExecutionResult } from 'graphql'
import type { Outlet } from './outlet.ts'

const maxFrames = 64

/** A result whose JSON is made already; Yoga sends what `stringify` gives. */
type ReadyResult = ExecutionResult & { stringify(): string }

/** Frames for a reader who pulls, as an event stream does: a few are kept ready, and no more until it takes them. */
export class IteratorOutlet implements Outlet, AsyncGenerator<ExecutionResult, void, void> {
  readonly #frames: (string | Buffer)[] = []
  #ending: AsyncGenerator<ExecutionResult, void, void> | undefined
  #drained: (() => void)[] = []
  #wake: (() => void) | undefined
  #end: IteratorResult<ExecutionResult, void> | undefined

  /** @param ending waits for the end of the subscription, and gives at most an error */
  endWith(ending: AsyncGenerator<ExecutionResult, void, void>): this {
    this.#ending = ending
    void ending.next().then((end) => {
      this.#end = end
      this.#wake?.()
    })
    return this
  }

  get isWritable(): boolean {
    return this.#frames.length < maxFrames
  }

  send(frame: string | Buffer): void {
    this.#frames.push(frame)
    this.#wake?.()
  }

  onDrain(callback: () => void): void {
    this.#drained.push(callback)
  }

  async next(): Promise<IteratorResult<ExecutionResult, void>> {
    while (this.#frames.length === 0 && !this.#end) await new Promise<void>((resolve) => (this.#wake = resolve))
    const frame = this.#frames.shift()
    if (frame === undefined) return this.#takeEnd()
    if (this.#frames.length === 0) for (const callback of this.#drained.splice(0)) callback()
    return { done: false, value: { stringify: () => frame.toString() } as ReadyResult }
  }

  async return(): Promise<IteratorResult<ExecutionResult, void>> {
    await this.#ending?.return()
    return { done: true, value: undefined }
  }

  async throw(): Promise<IteratorResult<ExecutionResult, void>> {
    return this.return()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  #takeEnd(): IteratorResult<ExecutionResult, void> {
    const end = this.#end!
    this.#end = { done: true, value: undefined }
    return end
  }
}
