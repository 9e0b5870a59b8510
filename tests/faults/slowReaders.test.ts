import { test } from 'vitest'
import { slowReaders } from '../../faults/promises/slowReaders.ts'
import { attackShortly } from './attackShortly.ts'

test('a slow reader costs only themself', { timeout: 120_000 }, () => attackShortly(slowReaders))
