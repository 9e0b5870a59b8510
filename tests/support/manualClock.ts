import type { Clock } from '../../server/providers/clock.ts'

export interface ManualClock extends Clock {
  /** Moves on, calls what comes due in its order, and lets promises settle in between. */
  advance(ms: number): Promise<void>
  /** Timers that are set. */
  readonly pending: number
}

const settle = () => new Promise((resolve) => setImmediate(resolve))

export function manualClock(): ManualClock {
  let time = 1_000
  const timers = new Set<{ at: number; callback: () => void }>()

  return {
    now: () => time,
    after(ms, callback) {
      const timer = { at: time + ms, callback }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    async advance(ms) {
      const end = time + ms
      await settle()
      for (;;) {
        const [next] = [...timers].sort((a, b) => a.at - b.at)
        if (!next || next.at > end) break
        timers.delete(next)
        time = next.at
        next.callback()
        await settle()
      }
      time = end
      await settle()
    },
    get pending() {
      return timers.size
    },
  }
}
