import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

interface SystemPart {
  name: string
  path: string
  packages: string[]
}

/** What the tests need beside npm's packages. PostgreSQL comes from npm. */
const parts: SystemPart[] = [
  { name: 'Redis', path: '/usr/bin/redis-server', packages: ['redis-server'] },
  { name: 'Chromium', path: '/usr/bin/chromium', packages: ['chromium', 'fonts-dejavu', 'fonts-noto-color-emoji'] },
]

/** Installs by apt what is missing of all parts, or of those named; answers false, having said why, if something still is. */
export async function installSystemParts(names = parts.map((part) => part.name)): Promise<boolean> {
  const missing = parts.filter((part) => names.includes(part.name) && !existsSync(part.path))
  if (missing.length === 0) return true
  const missingNames = missing.map((part) => part.name).join(', ')
  const packages = missing.flatMap((part) => part.packages)
  const byHand = `apt-get update && apt-get install -y ${packages.join(' ')}`

  const hasApt = (process.env.PATH ?? '').split(delimiter).some((folder) => existsSync(join(folder, 'apt-get')))
  if (!hasApt || process.getuid?.() !== 0) {
    console.error(`Missing: ${missingNames}. What needs it will fail. As root, on Debian: ${byHand}`)
    return false
  }

  console.log(`Installing ${missingNames} with apt-get.`)
  const startedAt = performance.now()
  const logFolder = await mkdtemp(join(tmpdir(), 'parley-apt-'))
  const logPath = join(logFolder, 'log')
  // apt waits for dpkg's lock by itself, but gives up at once on that of the package lists.
  let isUpdated = false
  for (let attempt = 0; attempt < 12 && !isUpdated; attempt++) {
    if (attempt > 0) await delay(5_000)
    isUpdated = await aptGet(logPath, ['update'])
  }
  await aptGet(logPath, ['install', '-y', '--no-install-recommends', ...packages])
  const stillMissing = missing.filter((part) => !existsSync(part.path))
  if (stillMissing.length > 0) {
    console.error(`Could not install ${stillMissing.map((part) => part.name).join(', ')} (${byHand}):`)
    console.error((await readFile(logPath, 'utf8')).trimEnd().split('\n').slice(-30).join('\n'))
    console.error(`The whole of it: ${logPath}`)
    return false
  }
  await rm(logFolder, { recursive: true })
  console.log(`Installed ${missingNames} in ${((performance.now() - startedAt) / 1000).toFixed(0)} s.`)
  return true
}

async function aptGet(logPath: string, args: string[]): Promise<boolean> {
  const log = await open(logPath, 'a')
  try {
    const child = spawn('apt-get', ['-o', 'DPkg::Lock::Timeout=120', ...args], {
      stdio: ['ignore', log.fd, log.fd],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    })
    return await new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code) => resolve(code === 0))
    })
  } finally {
    await log.close()
  }
}
