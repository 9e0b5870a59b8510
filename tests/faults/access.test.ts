import { test } from 'vitest'
import { access } from '../../faults/promises/access.ts'
import { attackShortly } from './attackShortly.ts'

test('nobody reads what is not theirs', { timeout: 120_000 }, () => attackShortly(access))
