import { test } from 'vitest'
import { storedFirst } from '../../faults/promises/storedFirst.ts'
import { attackShortly } from './attackShortly.ts'

test('what anyone has seen is stored, on both databases', { timeout: 120_000 }, () => attackShortly(storedFirst))
