import { test } from 'vitest'
import { connections } from '../../faults/promises/connections.ts'
import { attackShortly } from './attackShortly.ts'

test('no token is lost, doubled or out of order, whatever happens to the connection', { timeout: 120_000 }, () =>
  attackShortly(connections),
)
