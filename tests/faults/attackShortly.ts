import { expect } from 'vitest'
import { run, type PromiseToKeep } from '../../faults/support/promise.ts'
import { createDatabase } from '../support/postgres.ts'
import { testRandom } from '../support/random.ts'

/** Below the time that the tests have: one that is ended by force leaves its servers behind. */
const withinMs = 100_000

/** As `npm run faults` does, with small counts; a failure tells all counts and the seed. */
export async function attackShortly(promise: PromiseToKeep): Promise<void> {
  const { isKept, line } = await run(promise, { seed: testRandom().seed, size: 'short', createDatabase, withinMs })
  expect(isKept, line).toBe(true)
}
