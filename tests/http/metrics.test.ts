import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startApp, type TestApp } from '../support/app.ts'
import { gql, openSocket, post, signIn, type Person } from '../support/clients.ts'
import { createSession, send } from '../support/operations.ts'

const token = 'a-token-for-Prometheus'

interface Answer {
  status: number
  text: string
}

async function read({ url }: { url: string }, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(`${url}/metrics`, { headers })
  return { status: response.status, text: await response.text() }
}

/** The sum of a metric's samples whose labels hold all of these. */
function valueOf({ text }: Answer, name: string, labels: Record<string, string> = {}): number {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
  const samples = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
  return samples
    .filter((line) => wanted.every((label) => line.includes(label)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}

const follow = `subscription SessionEvents($sessionId: ID!) {
  sessionEvents(sessionId: $sessionId, after: 0) { __typename seq } }`

describe('/metrics', () => {
  let app: TestApp
  let ada: Person
  beforeAll(async () => {
    app = await startApp({ env: { METRICS_TOKEN: token } })
    ada = await signIn(app)
  })
  afterAll(() => app.stop())

  test('is open to the machine itself, but not to whom a proxy there passes on', async () => {
    expect((await read(app)).status).toBe(200)
    for (const header of ['x-forwarded-for', 'forwarded', 'x-real-ip', 'via'])
      expect([header, (await read(app, { [header]: '127.0.0.1' })).status]).toEqual([header, 404])
  })

  test('is open to whoever has the token, from wherever, and to nobody with another', async () => {
    const from = { 'x-forwarded-for': '203.0.113.9' }
    expect((await read(app, { ...from, authorization: `Bearer ${token}` })).status).toBe(200)
    for (const wrong of ['Bearer', 'Bearer another', `Basic ${token}`, `Bearer ${token}x`, `Bearer ${ada.token}`])
      expect([wrong, (await read(app, { authorization: wrong })).status]).toEqual([wrong, 403])
    expect((await fetch(`${app.url}/metrics`, { method: 'POST' })).status).toBe(405)
  })

  test('takes no token where none is set', async () => {
    const bare = await startApp()
    try {
      expect((await read(bare)).status).toBe(200)
      for (const wrong of ['Bearer ', 'Bearer undefined', 'Bearer null'])
        expect((await read(bare, { authorization: wrong })).status).toBe(403)
    } finally {
      await bare.stop()
    }
  })

  test('has a help text for each metric, and each of ours is in docs/metrics.md', async () => {
    await read(app)
    const { text } = await read(app)
    const documentation = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8')
    const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name!)
    expect(names).toContain('nodejs_eventloop_lag_seconds')
    expect(names).toContain('process_cpu_seconds_total')
    for (const name of names) {
      const [, help] = new RegExp(`^# HELP ${name} (.+)$`, 'm').exec(text) ?? []
      expect([name, help?.length ?? 0]).toEqual([name, expect.toSatisfy((length: number) => length > 10)])
    }
    const ours = names.filter((name) => name.startsWith('parley_'))
    expect(ours.filter((name) => !documentation.includes(`\`${name}\``))).toEqual([])
    const described = [...documentation.matchAll(/`(parley_\w+)`/g)].map(([, name]) => name!)
    expect(described.filter((name) => !names.includes(name))).toEqual([])
  })

  test('moves while a session streams, and is at rest again when all is over', async () => {
    const sessionId = await createSession(app, ada)
    const before = await read(app)
    const sockets = await Promise.all([1, 2].map(() => openSocket(app, { token: ada.token })))
    for (const socket of sockets) socket.subscribe('1', follow, { sessionId }, 'SessionEvents')
    await send(app, ada, sessionId, 'Hello [[tokens=40 stall=20]]')
    const isDelta = ({ raw }: { raw: string }): boolean => raw.includes('MessageDelta')
    for (const socket of sockets) await socket.until('1', isDelta)

    const during = await read(app)
    const grown = (name: string, labels?: Record<string, string>): number =>
      valueOf(during, name, labels) - valueOf(before, name, labels)
    expect(valueOf(during, 'parley_websockets')).toBe(2)
    expect(valueOf(during, 'parley_followers')).toBe(2)
    expect(valueOf(during, 'parley_follow_groups')).toBe(1)
    expect(valueOf(during, 'parley_generations_running', { status: 'STREAMING' })).toBe(1)
    expect(grown('parley_generations_started_total')).toBe(1)
    expect(grown('parley_websocket_frames_sent_total')).toBeGreaterThanOrEqual(2)
    expect(grown('parley_websocket_bytes_sent_total')).toBeGreaterThan(100)
    expect(grown('parley_events_rendered_total')).toBeGreaterThan(0)
    expect(grown('parley_http_requests_total', { route: 'websocket', status: '101' })).toBe(2)
    expect(grown('parley_storage_duration_seconds_count', { kind: 'deltas' })).toBeGreaterThan(0)
    expect(grown('parley_storage_duration_seconds_count', { kind: 'transaction' })).toBeGreaterThan(0)
    const subscriptions = { operation: 'SessionEvents', type: 'subscription', code: 'OK' }
    expect(grown('parley_operation_duration_seconds_count', subscriptions)).toBe(2)

    await gql(
      app,
      `mutation ($id: ID!) { deleteSessions(input: { sessionIds: [$id] }) { __typename } }`,
      { id: sessionId },
      ada,
    )
    for (const socket of sockets) await socket.close()
    await expect.poll(async () => valueOf(await read(app), 'parley_websockets')).toBe(0)
    await expect.poll(async () => valueOf(await read(app), 'parley_generations_running')).toBe(0)
    const after = await read(app)
    expect(valueOf(after, 'parley_followers')).toBe(0)
    expect(valueOf(after, 'parley_follow_groups')).toBe(0)
    expect(valueOf(after, 'parley_generations_ended_total', { status: 'STOPPED' })).toBe(1)
    expect(valueOf(after, 'parley_generation_first_token_seconds_count')).toBe(1)
    expect(valueOf(after, 'parley_provider_call_duration_seconds_count', { provider: 'local', code: 'ABORTED' })).toBe(
      1,
    )
    // what closed sockets took is not forgotten
    expect(valueOf(after, 'parley_websocket_bytes_sent_total')).toBeGreaterThanOrEqual(
      valueOf(during, 'parley_websocket_bytes_sent_total'),
    )
  })

  test('counts operations by name where the name is one of ours, else as other, and by result', async () => {
    const before = await read(app)
    await post(app, 'query Viewer { viewer { id } }', {}, ada)
    await post(app, `query Viewer${Date.now()} { viewer { id } }`, {}, ada)
    await post(app, 'query Viewer { sessions { totalCount } }')
    await post(app, 'query Viewer { nothing }', {}, ada)
    await post(
      app,
      `mutation CreateSession { createSession(input: { model: "nobody/nothing" }) { __typename } }`,
      {},
      ada,
    )
    const after = await read(app)
    const grown = (operation: string, type: string, code: string): number => {
      const name = 'parley_operation_duration_seconds_count'
      const labels = { operation, type, code }
      return valueOf(after, name, labels) - valueOf(before, name, labels)
    }
    expect(grown('Viewer', 'query', 'OK')).toBe(1)
    expect(grown('other', 'query', 'OK')).toBe(1)
    expect(grown('Viewer', 'query', 'UNAUTHENTICATED')).toBe(1)
    expect(grown('other', 'unknown', 'INVALID')).toBe(1)
    expect(grown('CreateSession', 'mutation', 'NOT_FOUND')).toBe(1)
    expect(after.text).not.toMatch(/Viewer\d/)
  })

  test('counts requests by route, whatever paths are asked for', async () => {
    const before = await read(app)
    for (const path of ['/a', '/b?c=d', '/health/live']) await (await fetch(`${app.url}${path}`)).text()
    await expect
      .poll(async () => valueOf(await read(app), 'parley_http_requests_total', { route: 'none', status: '404' }))
      .toBe(valueOf(before, 'parley_http_requests_total', { route: 'none', status: '404' }) + 2)
    const after = await read(app)
    expect(valueOf(after, 'parley_http_requests_total', { route: '/health/live', status: '200' })).toBeGreaterThan(0)
    expect(after.text).not.toContain('route="/a"')
  })
})
