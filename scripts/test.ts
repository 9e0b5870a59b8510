/** `npm test`: everything the tests need, then the tests, then their counts as the last line. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureClientBuilt } from '../server/http/clientBuild.ts'
import { createChildren, programPath } from './children.ts'
import type { Counts } from './countReporter.ts'
import { installSystemParts } from './systemParts.ts'

const children = createChildren()
const problems: string[] = []

if (!(await installSystemParts())) problems.push('A part of the system that the tests need is missing.')
try {
  await ensureClientBuilt(console.log)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  problems.push('The web client could not be built.')
}

console.log('Running the tests.')
const folder = await mkdtemp(join(tmpdir(), 'parley-counts-'))
const countsFile = join(folder, 'counts.json')
const reporter = fileURLToPath(new URL('countReporter.ts', import.meta.url))
const code = await children.run(
  [programPath('vitest'), 'run', '--reporter=default', `--reporter=${reporter}`, ...process.argv.slice(2)],
  { COUNTS_FILE: countsFile },
)
const counts = await readCounts()
await rm(folder, { recursive: true, force: true })

if (children.isEnding) problems.push('The tests were interrupted.')
else if (code !== 0 && counts.failed === 0) problems.push(`The test runner ended with code ${code}.`)
for (const problem of problems) console.error(problem)
const failed = counts.failed + problems.length
process.exitCode = failed > 0 ? 1 : 0
console.log(`${counts.passed} passed, ${failed} failed, ${counts.skipped} skipped`)

async function readCounts(): Promise<Counts> {
  try {
    return JSON.parse(await readFile(countsFile, 'utf8')) as Counts
  } catch {
    return { passed: 0, failed: 0, skipped: 0 }
  }
}
