import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { describe, expect, test } from 'vitest'
import { describeSettings, readConfig } from '../../server/config/config.ts'
import { readImports } from './readImports.ts'

interface Service {
  image?: string
  build?: string
  environment?: Record<string, string>
  volumes?: string[]
  healthcheck?: object
  depends_on?: Record<string, unknown>
  stop_grace_period?: string
}
interface Compose {
  services: Record<string, Service>
  volumes: Record<string, unknown>
}

const root = fileURLToPath(new URL('../../', import.meta.url))
const read = (path: string): Promise<string> => readFile(join(root, path), 'utf8')
const compose = parse(await read('compose.yaml'), { merge: true }) as Compose
const dockerfile = await read('Dockerfile')
const proxy = await read('deploy/haproxy.cfg')
const nodes = Object.entries(compose.services).filter(([, service]) => service.build !== undefined)
const settingNames = [...describeSettings().matchAll(/^ {2}([A-Z_]+) /gm)].map(([, name]) => name!)

/** The instructions of a Dockerfile, continued lines joined. */
const instructions = dockerfile
  .replaceAll('\\\n', ' ')
  .split('\n')
  .filter((line) => /^[A-Z]+ /.test(line))

describe('compose.yaml', () => {
  test('runs three nodes alike, behind a proxy that knows them all', () => {
    expect(nodes.map(([name]) => name)).toEqual(['node1', 'node2', 'node3'])
    for (const [, node] of nodes) expect(node).toEqual(nodes[0]![1])
    expect([...proxy.matchAll(/^ {2}server (\w+) (\S+)/gm)].map(([, name, address]) => `${name} ${address}`)).toEqual(
      nodes.map(([name]) => `${name} ${name}:4000`),
    )
    expect(Object.keys(compose.services.proxy!.depends_on!)).toEqual(nodes.map(([name]) => name))
  })

  test('gives nodes only settings that exist, with values that they take', () => {
    const given = nodes[0]![1].environment!
    expect(Object.keys(given).filter((name) => !settingNames.includes(name))).toEqual([])
    const password = { POSTGRES_PASSWORD: 'letters4nd1gits' }
    const env = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, interpolate(value, password)]))
    const config = readConfig(env)
    expect(config.databaseUrl).toBe('postgres://parley:letters4nd1gits@postgres/parley')
    expect(config.redisUrl).toBe('redis://redis:6379')
    expect(config.trustProxy).toBe(1)
    expect(proxy).toContain('http-request set-header X-Forwarded-For %[src]')
    expect(Number.parseInt(nodes[0]![1].stop_grace_period!) * 1000).toBeGreaterThan(config.shutdownTimeoutMs)
  })

  test('names volumes and files that are there, and no secret', async () => {
    for (const [name, { volumes = [], image, build, healthcheck }] of Object.entries(compose.services)) {
      expect(image ?? build, name).toBeTypeOf('string')
      // the image of the nodes has its own
      expect((build === undefined ? healthcheck : dockerfile.includes('\nHEALTHCHECK ')) ?? false, name).not.toBe(false)
      for (const volume of volumes) {
        const [source] = volume.split(':')
        expect(source!.startsWith('.') ? existsSync(join(root, source!)) : source! in compose.volumes, volume).toBe(
          true,
        )
      }
    }
    const secrets = [...(await read('compose.yaml')).matchAll(/(?:SECRET|PASSWORD|API_KEY): (.*)/g)]
    expect(secrets.length).toBeGreaterThan(3)
    for (const [line, value] of secrets) expect(value, line).toMatch(/^\$\{\w+:(-|\?[^}]+)\}$/)
  })
})

describe('the Dockerfile', () => {
  const copied = instructions.filter((line) => line.startsWith('COPY ') && !line.includes('--from'))
  const sources = copied.flatMap((line) => line.split(' ').slice(1, -1))

  test('copies what is there, and .dockerignore lets it through', async () => {
    const allowed = (await read('.dockerignore')).split('\n').filter((line) => line.startsWith('!'))
    for (const source of sources) {
      expect(existsSync(join(root, source)), source).toBe(true)
      expect(allowed).toContain(`!${normalize(source)}`)
    }
  })

  test('copies every file of ours that its commands import, and installs every package that these need', async () => {
    const { dependencies } = JSON.parse(await read('package.json')) as { dependencies: Record<string, string> }
    const imports = [
      ...(await readImports('server')),
      ...(await readImports('scripts')),
      ...(await readImports('client')),
    ]
    const seen = new Set(['server/main.ts', 'scripts/buildClient.ts', 'scripts/backup.ts', 'scripts/restore.ts'])
    seen.add('client/vite.config.ts').add('client/src/main.tsx')
    const missing: string[] = []
    for (const from of seen) {
      for (const { to } of imports.filter((one) => one.from === from && !one.isTypeOnly)) {
        const name = to.split('/').slice(0, to.startsWith('@') ? 2 : 1)
        if (to.includes('/') && existsSync(join(root, to))) seen.add(to)
        else if (!to.startsWith('node:') && !(name.join('/') in dependencies)) missing.push(`${from} imports ${to}`)
      }
    }
    expect(missing).toEqual([])
    expect(seen.size).toBeGreaterThan(100)
    for (const path of seen)
      expect(
        sources.some((source) => path.startsWith(`${source}/`)),
        path,
      ).toBe(true)
    expect(dockerfile).toContain('npm ci --omit=dev')
  })

  test('runs the server as `npm start` does, as a user who is not root, and signals reach it', async () => {
    const { scripts } = JSON.parse(await read('package.json')) as { scripts: Record<string, string> }
    const last = instructions.slice(instructions.findLastIndex((line) => line.startsWith('FROM ')))
    expect(last.filter((line) => line.startsWith('CMD'))).toEqual([
      `CMD ${JSON.stringify(scripts.start!.replace(/^exec /, '').split(' '))}`.replace(',', ', '),
    ])
    expect(last).toContain('USER node')
    for (const [, program] of dockerfile.matchAll(/\b((?:scripts|server)\/\w+\.ts)/g))
      expect(existsSync(join(root, program!)), program).toBe(true)
    for (const [, name] of dockerfile.matchAll(/\b([A-Z_]{4,})=/g)) expect(settingNames).toContain(name)
  })
})

test('the unit for systemd starts what `npm start` does, again where it failed, and gives it time to end', async () => {
  const { scripts } = JSON.parse(await read('package.json')) as { scripts: Record<string, string> }
  const unit = await read('deploy/parley.service')
  const valueOf = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1]
  expect(valueOf('ExecStart')).toBe(`/opt/parley/node_modules/.bin/${scripts.start!.replace(/^exec /, '')}`)
  expect(valueOf('Restart')).toBe('on-failure')
  const environment = [...unit.matchAll(/^Environment=(\w+)=(.*)$/gm)].map(([, name, value]) => [name!, value!])
  const config = readConfig(Object.fromEntries(environment) as Record<string, string>)
  expect(config.nodeEnv).toBe('production')
  expect(config.databaseUrl).toBe(`sqlite:/var/lib/${valueOf('StateDirectory')}/parley.db`)
  expect(Number(valueOf('TimeoutStopSec')) * 1000).toBeGreaterThan(config.shutdownTimeoutMs)
})

/** As Compose does it, for the forms that are used here. */
function interpolate(value: string, env: Record<string, string>): string {
  return value.replace(/\$\{(\w+):([-?])([^}]*)\}/g, (_, name: string, kind: string, text: string) => {
    const given = env[name]
    if (given === undefined && kind === '?') throw new Error(text)
    return given ?? text
  })
}
