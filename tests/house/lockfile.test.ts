import { execFile } from 'node:child_process'
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'

interface Manifest {
  dependencies: Record<string, string>
  devDependencies: Record<string, string>
}

interface Lockfile {
  packages: Record<string, { version?: string; resolved?: string }>
}

const root = fileURLToPath(new URL('../../', import.meta.url))
const lockText = await readFile(join(root, 'package-lock.json'), 'utf8')
const { packages } = JSON.parse(lockText) as Lockfile
const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as Manifest

let clone: string

beforeEach(async () => {
  clone = await mkdtemp(join(tmpdir(), 'parley-lockfile-'))
  for (const name of ['package.json', 'package-lock.json', '.npmrc'])
    await copyFile(join(root, name), join(clone, name))
})

afterEach(() => rm(clone, { recursive: true, force: true }))

/** What npm says to a clean install of the clone, which it only thinks through: nothing is fetched, nothing installed. */
function thinkThroughInstall(): Promise<{ code: number; output: string }> {
  const args = ['ci', '--dry-run', '--offline', '--ignore-scripts']
  return new Promise((resolve) => {
    execFile('npm', args, { cwd: clone }, (error, stdout, stderr) => {
      resolve({ code: error ? 1 : 0, output: stdout + stderr })
    })
  })
}

test('npm finds in the lock file all that a clean install needs', async () => {
  expect(await thinkThroughInstall()).toMatchObject({ code: 0 })
})

test('a package for another platform that the lock file lacks is noticed', async () => {
  const { '': own, ...others } = packages
  const hole = Object.keys(others).find((path) => path.startsWith('node_modules/@tailwindcss/oxide-'))!
  delete others[hole]
  await writeFile(
    join(clone, 'package-lock.json'),
    JSON.stringify({ ...JSON.parse(lockText), packages: { '': own, ...others } }),
  )
  const { code, output } = await thinkThroughInstall()
  expect(code).toBe(1)
  expect(output).toContain(`Missing: ${hole.replace('node_modules/', '')}`)
})

test('the lock file names no registry', () => {
  expect(Object.values(packages).filter(({ resolved }) => resolved !== undefined)).toEqual([])
  expect(lockText).not.toMatch(/"resolved"|registry\./)
})

test('every version in package.json is exact', () => {
  const ranges = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })
  expect(ranges.length).toBeGreaterThan(0)
  expect(ranges.filter(([, range]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(range))).toEqual([])
})

test('there is one copy of graphql, since two do not know each other’s types', () => {
  const copies = Object.keys(packages).filter((path) => /(^|\/)node_modules\/graphql$/.test(path))
  expect(copies).toEqual(['node_modules/graphql'])
})
