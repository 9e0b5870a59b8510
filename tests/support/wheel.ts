export interface Wheel {
  /** Calls back at every turn, the first time before the current turn of the event loop is over. Returns what ends that. */
  add(turn: () => void): () => void
  stop(): void
}

/** One interval for everything that happens again and again; it runs only while there is something. */
export function createWheel(periodMs: number): Wheel {
  const turns = new Set<() => void>()
  let interval: NodeJS.Timeout | undefined

  const turnAll = () => {
    for (const turn of turns) turn()
  }
  const rest = () => {
    if (turns.size > 0) return
    clearInterval(interval)
    interval = undefined
  }

  return {
    add(turn) {
      turns.add(turn)
      interval ??= setInterval(turnAll, periodMs)
      setImmediate(() => {
        if (turns.has(turn)) turn()
      })
      return () => {
        turns.delete(turn)
        rest()
      }
    },
    stop() {
      turns.clear()
      rest()
    },
  }
}
