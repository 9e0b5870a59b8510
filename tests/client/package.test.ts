import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, expect, test } from 'vitest'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../../', import.meta.url))

let project: string

const main = `
import { createParleyClient, foldDelta, type Unsent } from 'parley/client'
const client = createParleyClient({ url: 'http://127.0.0.1:1', token: async () => undefined })
const unsent: readonly Unsent[] = client.outbox.unsent.get()
client.close()
console.log(typeof client.subscription, unsent.length, foldDelta('Hello', { offset: 5, text: '!' }))
`

/** The strictest settings, and no DOM. */
const compilerOptions = {
  ...{ target: 'es2024', lib: ['es2024'], types: ['node'], module: 'nodenext', noEmit: true, skipLibCheck: true },
  ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true },
  allowImportingTsExtensions: true,
}

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), 'parley-project-'))
  await mkdir(join(project, 'node_modules', '@types'), { recursive: true })
  // As npm installs a folder.
  await symlink(root, join(project, 'node_modules', 'parley'))
  await symlink(join(root, 'node_modules/@types/node'), join(project, 'node_modules/@types/node'))
  await writeFile(join(project, 'package.json'), '{ "type": "module" }')
  await writeFile(join(project, 'main.ts'), main)
  await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['main.ts'] }))
})
afterAll(() => rm(project, { recursive: true, force: true }))

test('another project imports parley/client in Node', async () => {
  const { stdout } = await run(process.execPath, [join(project, 'main.ts')])
  expect(stdout).toBe('function 0 Hello!\n')
})

test('another project checks its types, without those of a browser', async () => {
  const { stdout } = await run(process.execPath, [join(root, 'node_modules/.bin/tsc'), '-p', project])
  expect(stdout).toBe('')
})

test('a bundler makes one file of it for a browser, without React and without parts of Node', async () => {
  const bundle = await rolldown({ input: join(project, 'main.ts'), platform: 'browser', logLevel: 'silent' })
  const { output } = await bundle.generate({ format: 'es' })
  await bundle.close()
  expect(output).toHaveLength(1)
  expect(output[0].imports).toEqual([])
  const modules = output[0].moduleIds.filter((id) => /\/node_modules\//.test(id))
  const packages = new Set(modules.map((id) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(id)![1]))
  expect([...packages].sort()).toEqual(['@0no-co/graphql.web', '@urql/core', 'graphql-ws', 'wonka'])
})
