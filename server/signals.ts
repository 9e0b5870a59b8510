/** A person takes longer to say it again; npm passes on what it hears within a few. */
const echoMs = 500

/**
 * Calls back for each signal that someone sends. Run by npm, one that goes to the whole group, as by Ctrl-C, comes twice:
 * from the terminal, and from npm, which passes it on. That counts as one.
 */
export function onSignals(signals: readonly NodeJS.Signals[], callback: () => void): void {
  const isRunByNpm = process.env.npm_lifecycle_event !== undefined
  let heardAt = -Infinity
  const hear = (): void => {
    const now = performance.now()
    if (isRunByNpm && now - heardAt < echoMs) return
    heardAt = now
    callback()
  }
  for (const signal of signals) process.on(signal, hear)
}
