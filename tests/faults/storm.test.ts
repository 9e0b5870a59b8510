import { test } from 'vitest'
import { storm } from '../../faults/promises/storm.ts'
import { attackShortly } from './attackShortly.ts'

test('a storm of reconnects is absorbed', { timeout: 120_000 }, () => attackShortly(storm))
