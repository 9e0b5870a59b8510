import { test } from 'vitest'
import { badInput } from '../../faults/promises/badInput.ts'
import { attackShortly } from './attackShortly.ts'

test('bad input gets a typed error and changes nothing', { timeout: 120_000 }, () => attackShortly(badInput))
