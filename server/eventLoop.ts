const maxTurnMs = 8

// taken here: a fake clock in a test must not hold up what waits
const { setImmediate, performance } = globalThis
// one for the process, because it has one event loop
let startedAt: number | undefined
const waiting: (() => void)[] = []

function startTurn(): void {
  startedAt = performance.now()
  setImmediate(endTurn)
}

function endTurn(): void {
  startedAt = undefined
  const next = waiting.shift()
  if (!next) return
  startTurn()
  next()
}

/**
 * For long work to call between its steps. Steps run for 8 ms, in all, before the event loop turns; work that has to wait
 * then goes on one at a time, in order, so that others are answered in between.
 * @returns what to wait for before the next step; undefined where it may follow at once
 */
export function turnIfDue(): Promise<void> | undefined {
  if (startedAt === undefined) startTurn()
  else if (performance.now() - startedAt >= maxTurnMs) return new Promise((resolve) => waiting.push(resolve))
  return undefined
}
