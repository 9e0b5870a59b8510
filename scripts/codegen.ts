/** `npm run codegen`: prints schema.graphql and the client's typed documents; with --check only says what is stale. */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { schema } from '../server/schema/schema.ts'
import { generateFiles, projectRoot, staleFiles } from './generated.ts'

const files = await generateFiles(schema)
const stale = await staleFiles(files)

if (process.argv.includes('--check')) {
  for (const path of stale) console.error(`${path} is stale: run npm run codegen`)
  process.exitCode = stale.length > 0 ? 1 : 0
} else {
  for (const path of stale) {
    const content = files.get(path)
    if (content === undefined) {
      await rm(join(projectRoot, path))
      continue
    }
    await mkdir(dirname(join(projectRoot, path)), { recursive: true })
    await writeFile(join(projectRoot, path), content)
  }
  console.log(stale.length > 0 ? `Wrote ${stale.join(', ')}` : 'Nothing was stale.')
}
