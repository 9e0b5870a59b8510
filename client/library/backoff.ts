/** Full jitter: a wait in milliseconds, evenly spread from 0 to `baseMs` doubled per failure, never above `capMs`. */
export function fullJitter(failures: number, { baseMs = 500, capMs = 20_000, random = Math.random } = {}): number {
  return random() * Math.min(capMs, baseMs * 2 ** Math.min(failures, 30))
}

/** A wait that `wake` cuts short, for everyone who is waiting on it. */
export interface Pause {
  wait(ms: number): Promise<void>
  wake(): void
}

export function createPause(): Pause {
  const waiting = new Set<() => void>()
  return {
    wait(ms) {
      return new Promise((resolve) => {
        const done = () => {
          clearTimeout(timer)
          waiting.delete(done)
          resolve()
        }
        const timer = setTimeout(done, ms)
        waiting.add(done)
      })
    },
    wake() {
      for (const done of [...waiting]) done()
    },
  }
}
