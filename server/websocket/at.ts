const longestTimerMs = 2 ** 31 - 1

/** Calls back at a time that may be further off than a timer reaches. Returns what calls it off. */
export function at(time: Date, callback: () => void): () => void {
  let timer: NodeJS.Timeout
  const wait = (): void => {
    const leftMs = time.getTime() - Date.now()
    timer = setTimeout(leftMs > longestTimerMs ? wait : callback, Math.min(Math.max(leftMs, 0), longestTimerMs))
  }
  wait()
  return () => clearTimeout(timer)
}
