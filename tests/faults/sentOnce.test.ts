import { test } from 'vitest'
import { sentOnce } from '../../faults/promises/sentOnce.ts'
import { attackShortly } from './attackShortly.ts'

test('a send that is repeated is one send, on either node', { timeout: 120_000 }, () => attackShortly(sentOnce))
