import { expect, test } from 'vitest'
import { isoText } from '../../server/schema/scalars.ts'
import { testRandom } from '../support/random.ts'

test('a moment is written as toISOString writes it, in any year', () => {
  const random = testRandom()
  const edges = ['0000-01-01', '0999-12-31T23:59:59.999Z', '1000-01-01', '9999-12-31T23:59:59.999Z', '-000001-06-01']
  const moments = [...edges, '2026-02-28T09:08:07.006Z', '2024-02-29T10:20:30.045Z', 8.64e15, -8.64e15, 0, -1]
  for (let round = 0; round < 2_000; round++) moments.push(random.int(-6e13, 6e14), random.int(0, 4e12))
  for (const moment of moments) expect(isoText(new Date(moment))).toBe(new Date(moment).toISOString())
})

test('what is no moment is an error', () => {
  expect(() => isoText(new Date(NaN))).toThrow(RangeError)
})
