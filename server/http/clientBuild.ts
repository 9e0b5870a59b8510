import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))

const abandonedAfterMs = 10 * 60_000

/**
 * Builds the web client of the project at `projectRoot` if it is missing or older than its sources, and gives the folder
 * that holds it. Says in one line what it does and in another how long that took; throws with the builder's words if it
 * cannot be built.
 *
 * A build's folder is named after the hash of its sources and appears whole, by a rename, so several processes may start
 * at once, and one that serves an older build is not disturbed.
 */
export async function ensureClientBuilt(log: (line: string) => void, projectRoot: string = root): Promise<string> {
  const client = join(projectRoot, 'client')
  const dist = join(client, 'dist')
  const built = join(dist, await hashSources(projectRoot))
  if (await exists(join(built, 'index.html'))) return built

  log((await exists(dist)) ? 'The web client has changed: building it.' : 'Building the web client.')
  const startedAt = performance.now()
  await mkdir(dist, { recursive: true })
  const unfinished = await mkdtemp(join(dist, 'unfinished-'))
  try {
    await runVite(client, unfinished)
    await makeReadable(unfinished)
    await rename(unfinished, built).catch(async (error: unknown) => {
      if (!(await exists(join(built, 'index.html')))) throw error
    })
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
  await removeOldBuilds(dist, built)
  log(`Built the web client in ${((performance.now() - startedAt) / 1000).toFixed(1)} s.`)
  return built
}

async function hashSources(projectRoot: string): Promise<string> {
  const hash = createHash('sha256')
  const entries = await readdir(join(projectRoot, 'client'), { recursive: true, withFileTypes: true })
  const sources = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(projectRoot, join(entry.parentPath, entry.name)))
    .filter((path) => !/^client\/(dist|node_modules)\//.test(path))
  for (const path of [...sources, 'package-lock.json'].sort()) {
    const content = await readFile(join(projectRoot, path))
    hash.update(`${path}\0${content.length}\0`).update(content)
  }
  return hash.digest('hex').slice(0, 16)
}

/** In a process of its own, since the bundler's memory would stay with the server. */
async function runVite(client: string, outDir: string): Promise<void> {
  const vite = join(dirname(createRequire(import.meta.url).resolve('vite/package.json')), 'bin', 'vite.js')
  const child = spawn(process.execPath, [vite, 'build', client, '--outDir', outDir, '--logLevel', 'warn'], {
    cwd: client,
    stdio: ['ignore', 'pipe', 'pipe'],
    // Under tests NODE_ENV is `test`, which would bundle React's slow development build.
    env: { ...process.env, NODE_ENV: 'production' },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (code !== 0) throw new Error(`The web client could not be built:\n${output}`)
}

/** `mkdtemp` gives 0700, and an image is built by root but run by another user: everyone may read the page's files. */
async function makeReadable(folder: string): Promise<void> {
  await chmod(folder, 0o755)
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }))
    await chmod(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o755 : 0o644)
}

/** Keeps the newest build before this one, which a running server may still serve. */
async function removeOldBuilds(dist: string, built: string): Promise<void> {
  const others = []
  for (const name of await readdir(dist)) {
    const path = join(dist, name)
    const changedAt = await stat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => undefined,
    )
    if (path === built || changedAt === undefined) continue
    const isBeingBuilt = name.startsWith('unfinished-') && Date.now() - changedAt < abandonedAfterMs
    if (!isBeingBuilt) others.push({ path, changedAt })
  }
  others.sort((a, b) => b.changedAt - a.changedAt)
  for (const { path } of others.slice(1)) await rm(path, { recursive: true, force: true })
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
