import { test } from 'vitest'
import { backup } from '../../faults/promises/backup.ts'
import { attackShortly } from './attackShortly.ts'

test('a back-up taken under load restores, on both databases', { timeout: 120_000 }, () => attackShortly(backup))
