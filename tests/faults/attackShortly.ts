import { expect } from 'vitest'
import { run, type PromiseToKeep } from '../../faults/support/promise.ts'
import { createDatabase } from '../support/postgres.ts'
import { testRandom } from '../support/random.ts'

/** As `npm run faults` does, with small counts; a failure tells all counts and the seed. */
export async function attackShortly(promise: PromiseToKeep): Promise<void> {
  const { isKept, line } = await run(promise, { seed: testRandom().seed, size: 'short', createDatabase })
  expect(isKept, line).toBe(true)
}
