import { test } from 'vitest'
import { cutAnswers } from '../../faults/promises/cutAnswers.ts'
import { attackShortly } from './attackShortly.ts'

test('a cut answer never looks whole', { timeout: 120_000 }, () => attackShortly(cutAnswers))
