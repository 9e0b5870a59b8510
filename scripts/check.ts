/** `npm run check`: types, lint, format and stale generated files; runs all of them and names those that failed. */
import { createChildren, programPath } from './children.ts'

const checks = {
  'types of server, tests and scripts': [programPath('tsc'), '--noEmit'],
  'types of the client': [programPath('tsc'), '--noEmit', '-p', 'client/tsconfig.json'],
  lint: [programPath('oxlint')],
  format: [programPath('prettier'), '--check', '--log-level', 'warn', '.'],
  'generated files': ['scripts/codegen.ts', '--check'],
}

const children = createChildren()
const failed: string[] = []
for (const [name, args] of Object.entries(checks)) {
  console.log(`Checking ${name}.`)
  if ((await children.run(args)) !== 0) failed.push(name)
}
console.log(failed.length > 0 ? `Failed: ${failed.join(', ')}` : 'All good.')
process.exitCode = failed.length > 0 ? 1 : 0
