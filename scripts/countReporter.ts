import { writeFileSync } from 'node:fs'
import type { Reporter, TestModule, TestSuite } from 'vitest/node'

export interface Counts {
  passed: number
  failed: number
  skipped: number
}

/** Writes the counts of a run to the file that COUNTS_FILE names. What fails outside a test counts as failed too. */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const counts: Counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 }
    for (const module of modules) {
      for (const place of [module, ...module.children.allSuites()] satisfies (TestModule | TestSuite)[]) {
        counts.failed += place.errors().length
      }
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        counts[state === 'pending' ? 'skipped' : state]++
      }
    }
    writeFileSync(process.env.COUNTS_FILE!, JSON.stringify(counts))
  }
}
