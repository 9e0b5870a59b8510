import { test } from 'vitest'
import { deploy } from '../../faults/promises/deploy.ts'
import { attackShortly } from './attackShortly.ts'

test('a deploy loses nothing', { timeout: 120_000 }, () => attackShortly(deploy))
