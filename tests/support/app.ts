import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { SignJWT } from 'jose'
import { buildApp, type AppParts } from '../../server/app.ts'
import { readConfig } from '../../server/config/config.ts'
import type { Services } from '../../server/context.ts'
import type { Logger } from '../../server/logger.ts'
import { startFakeModelServer, type FakeModelServer } from './fakeModelServer.ts'
import { placeFor, type StorageKind } from './storages.ts'

export interface StartOptions {
  /** Settings that differ from those of a test's server, which has no limits that a quick test would reach. */
  env?: Record<string, string>
  storage?: StorageKind
  parts?: AppParts
}

export interface TestApp {
  /** `http://…` without a slash at the end. */
  readonly url: string
  readonly port: number
  /** What its `local` provider asks; `local/fake` is the default model. */
  readonly fake: FakeModelServer
  readonly services: Services
  /** What was logged as a warning or an error. */
  readonly logged: { level: string; message: string; fields: Record<string, unknown> | undefined }[]
  /** Stops the server and the fake, and deletes the data. */
  stop(): Promise<void>
}

/** Signs the tokens of every server of the tests. */
export const authSecret = 'a secret for tests, longer than 32 bytes'

const unlimited = {
  HOST: '127.0.0.1',
  PORT: '0',
  AUTH_SECRET: authSecret,
  LOG_LEVEL: 'silent',
  RATE_LIMIT_PER_MINUTE: '1000000',
  RATE_LIMIT_PER_MINUTE_PER_ADDRESS: '1000000',
  WRONG_TOKENS_PER_MINUTE_PER_ADDRESS: '1000000',
  MAX_CONCURRENT_GENERATIONS: '1000',
  SHUTDOWN_TIMEOUT_MS: '0',
}

/** A whole server in this process, on a free port, with a database and a model server of its own. */
export async function startApp({ env = {}, storage = 'sqlite', parts = {} }: StartOptions = {}): Promise<TestApp> {
  const [fake, place] = await Promise.all([startFakeModelServer(), placeFor(storage)])
  const logged: TestApp['logged'] = []
  const note =
    (level: string) =>
    (message: string, fields?: Record<string, unknown>): void =>
      void logged.push({ level, message, fields })
  const logger: Logger = { debug: () => {}, info: () => {}, warn: note('warn'), error: note('error') }
  const config = readConfig({ ...unlimited, DATABASE_URL: place.url, LOCAL_BASE_URL: fake.url, ...env })
  const app = await buildApp(config, { logger, ...parts })
  const url = await app.start()
  return {
    url,
    port: Number(new URL(url).port),
    fake,
    services: app.services,
    logged,
    async stop() {
      await app.stop()
      await fake.stop()
      await place.remove()
    },
  }
}

/** A token as an identity provider that knows the secret would make it, ending so many seconds from now. */
export function signToken(claims: { sub: string; name?: string; admin?: boolean }, expiresInSeconds = 3600) {
  return new SignJWT({ ...claims })
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuedAt()
    .setExpirationTime(Math.floor(Date.now() / 1000) + expiresInSeconds)
    .sign(new TextEncoder().encode(authSecret))
}

export interface ServerProcess {
  readonly pid: number
  readonly url: string
  readonly port: number
  /** What it has said so far, on both of its outputs. */
  readonly output: string
  readonly exited: Promise<number | NodeJS.Signals>
  /** Sends a signal to the process alone; resolves once it has exited. */
  end(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals>
}

const main = fileURLToPath(new URL('../../server/main.ts', import.meta.url))

/** A server as `npm start` starts it, in a process of its own; `env` must say where its data lies. */
export async function startServerProcess(
  env: Record<string, string> & { DATABASE_URL: string },
): Promise<ServerProcess> {
  const child = spawn(process.execPath, [main], {
    env: { PATH: process.env.PATH, ...unlimited, LOG_LEVEL: 'warn', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text))
  const exited = new Promise<number | NodeJS.Signals>((resolve) =>
    child.once('exit', (code, signal) => resolve(code ?? signal!)),
  )
  // a test that forgets to end it, or a worker that is ended, takes it along
  const endWithUs = (): void => void child.kill('SIGKILL')
  process.once('exit', endWithUs)
  void exited.then(() => process.off('exit', endWithUs))
  const url = await new Promise<string>((resolve, reject) => {
    createInterface(child.stdout).on('line', (line) => {
      output += `${line}\n`
      const [, found] = /^Parley runs at (\S+)$/.exec(line) ?? []
      if (found) resolve(found)
    })
    child.once('error', reject)
    void exited.then((how) => reject(new Error(`The server exited with ${how}:\n${output}`)))
  })
  return {
    pid: child.pid!,
    url,
    port: Number(new URL(url).port),
    get output() {
      return output
    },
    exited,
    async end(signal = 'SIGTERM') {
      child.kill(signal)
      return exited
    },
  }
}

/** An empty folder for a server process's data. */
export async function makeFolder(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'parley-test-'))
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}
