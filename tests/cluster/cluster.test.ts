import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startBalancer, type Balancer } from '../../scripts/support/balancer.ts'

async function startNode(
  name: string,
): Promise<{ url: string; setReady(isReady: boolean): void; stop(): Promise<void> }> {
  let isReady = true
  const server = createServer((request, response) => {
    if (request.url === '/health/ready') return response.writeHead(isReady ? 200 : 503).end()
    response.setHeader('connection', 'close').end(name)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    setReady: (value) => (isReady = value),
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function answers({ url }: Balancer, count: number): Promise<string> {
  const texts = []
  for (let n = 0; n < count; n++) texts.push(await (await fetch(url)).text())
  return texts.sort().join('')
}

describe('the balancer', () => {
  test('gives each node its turn, passes over those that are not ready or gone, and takes them back', async () => {
    const nodes = [await startNode('a'), await startNode('b'), await startNode('c')]
    const [a, b, c] = nodes as [(typeof nodes)[0], (typeof nodes)[0], (typeof nodes)[0]]
    const balancer = await startBalancer({ nodes: nodes.map(({ url }) => url), port: 0, checkIntervalMs: 20 })
    onTestFinished(() => balancer.stop())
    expect(await answers(balancer, 6)).toBe('aabbcc')

    b.setReady(false)
    await expect.poll(() => answers(balancer, 6)).not.toContain('b')
    await c.stop()
    expect(await answers(balancer, 6)).toBe('aaaaaa')
    b.setReady(true)
    await expect.poll(() => answers(balancer, 6)).toBe('aaabbb')
    await a.stop()
    await b.stop()
    await expect(fetch(balancer.url)).rejects.toThrow('fetch failed')
  })

  test('passes a reset on as a reset, and an end as an end', async () => {
    const node = createServer((request, response) => {
      response.write('first')
      if (request.url === '/cut') request.socket.resetAndDestroy()
      else response.end(' and last')
    })
    await once(node.listen(0, '127.0.0.1'), 'listening')
    onTestFinished(() => {
      node.closeAllConnections()
      node.close()
    })
    const url = `http://127.0.0.1:${(node.address() as AddressInfo).port}`
    const balancer = await startBalancer({ nodes: [url], port: 0 })
    onTestFinished(() => balancer.stop())
    expect(await (await fetch(balancer.url)).text()).toBe('first and last')
    await expect(fetch(`${balancer.url}/cut`).then((response) => response.text())).rejects.toThrow(TypeError)
  })
})

describe('npm run cluster', () => {
  test('runs nodes that know each other’s guests, starts one again that dies, and leaves no process behind', async () => {
    const program = fileURLToPath(new URL('../../scripts/cluster.ts', import.meta.url))
    const child = spawn(process.execPath, [program, '--nodes', '2'], {
      env: { PATH: process.env.PATH, PORT: '0', SHUTDOWN_SPREAD_MS: '0', LOCAL_BASE_URL: 'http://127.0.0.1:9' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const exited = once(child, 'exit')
    const lines: string[] = []
    createInterface(child.stdout).on('line', (line) => lines.push(line))
    await expect.poll(() => lines.some((line) => line.startsWith('  Redis: ')), { timeout: 25_000 }).toBe(true)
    const output = lines.join('\n')
    const urls = [...output.matchAll(/^ {2}node \d: (\S+),/gm)].map(([, url]) => url!)
    expect(urls).toHaveLength(2)
    const ask = async (url: string, query: string, token?: string): Promise<unknown> => {
      const headers = { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) }
      const response = await fetch(`${url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query }) })
      return ((await response.json()) as { data: unknown }).data
    }
    const [, balanced] = /^Parley runs at (\S+), on 2 nodes$/m.exec(output) ?? []
    const { signInAsGuest } = (await ask(
      urls[0]!,
      'mutation { signInAsGuest(input: { name: "Ada" }) { ... on SignInAsGuestSuccess { token } } }',
    )) as { signInAsGuest: { token: string } }
    for (const url of [...urls, balanced!])
      expect(await ask(url, '{ viewer { name } }', signInAsGuest.token)).toEqual({ viewer: { name: 'Ada' } })

    const pidsIn = (text: string) => [...text.matchAll(/process (\d+)$/gm)].map(([, pid]) => Number(pid))
    process.kill(pidsIn(output)[0]!, 'SIGKILL')
    await expect
      .poll(() => ask(urls[0]!, '{ viewer { name } }', signInAsGuest.token).catch(() => null), { timeout: 20_000 })
      .toEqual({ viewer: { name: 'Ada' } })
    await expect.poll(() => pidsIn(lines.join('\n')).length).toBe(3)
    const pids = pidsIn(lines.join('\n'))
    child.kill('SIGINT')
    expect(await exited).toEqual([0, null])
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow('ESRCH')
    for (const url of urls) await expect(fetch(url)).rejects.toThrow('fetch failed')
  })
})
