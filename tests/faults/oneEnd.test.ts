import { test } from 'vitest'
import { oneEnd } from '../../faults/promises/oneEnd.ts'
import { attackShortly } from './attackShortly.ts'

test('every started generation ends, once, whatever happens to its node', { timeout: 120_000 }, () =>
  attackShortly(oneEnd),
)
