import { test } from 'vitest'
import { stopStops } from '../../faults/promises/stopStops.ts'
import { attackShortly } from './attackShortly.ts'

test('stop stops, from another node too', { timeout: 120_000 }, () => attackShortly(stopStops))
