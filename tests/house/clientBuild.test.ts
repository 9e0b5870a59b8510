import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ensureClientBuilt } from '../../server/http/clientBuild.ts'

let project: string
let lines: string[]

beforeEach(async () => {
  project = await mkdtemp(join(tmpdir(), 'parley-client-'))
  lines = []
  await mkdir(join(project, 'client'))
  await writeFile(join(project, 'package-lock.json'), '{}')
  await write('one')
})

afterEach(() => rm(project, { recursive: true, force: true }))

const write = (text: string) => writeFile(join(project, 'client', 'index.html'), `<!doctype html><p>${text}</p>`)
const build = () => ensureClientBuilt((line) => lines.push(line), project)
const page = (folder: string) => readFile(join(folder, 'index.html'), 'utf8')

test('the client is built once, and again only after a source has changed', async () => {
  const first = await build()
  expect(await page(first)).toContain('one')
  expect(lines).toHaveLength(2)

  expect(await build()).toBe(first)
  expect(lines).toHaveLength(2)

  await write('two')
  const second = await build()
  expect(await page(second)).toContain('two')
  expect(await page(first)).toContain('one')

  await write('three')
  expect(await page(await build())).toContain('three')
  expect(await readdir(join(project, 'client', 'dist'))).not.toContain(basename(first))
})

test('two processes that start at once end with one whole build', async () => {
  const [one, two] = await Promise.all([build(), build()])
  expect(one).toBe(two)
  expect(await page(one)).toContain('one')
  expect(await readdir(join(project, 'client', 'dist'))).toEqual([basename(one)])
})

test('a client that cannot be built says why and leaves nothing behind', async () => {
  await writeFile(join(project, 'client', 'index.html'), '<script type="module" src="./missing.js"></script>')
  await expect(build()).rejects.toThrow('missing.js')
  expect(await readdir(join(project, 'client', 'dist'))).toEqual([])
})

test('what root builds, another user can read, whatever the umask', async () => {
  await mkdir(join(project, 'client', 'public', 'deep'), { recursive: true })
  await writeFile(join(project, 'client', 'public', 'deep', 'file.txt'), 'text', { mode: 0o600 })
  const folder = await build()
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777

  expect(await modeOf(folder)).toBe(0o755)
  expect(entries.map(({ name }) => name)).toContain('file.txt')
  for (const entry of entries)
    expect(await modeOf(join(entry.parentPath, entry.name))).toBe(entry.isDirectory() ? 0o755 : 0o644)
})
