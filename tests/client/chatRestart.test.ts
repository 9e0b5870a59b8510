import { afterEach, expect, test } from 'vitest'
import { makeFolder, startServerProcess } from '../support/app.ts'
import { runChat } from './runChat.ts'

const stops: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

test('a server that is killed in the midst of an answer is waited for, and says what became of it', async () => {
  const folder = await makeFolder()
  stops.push(() => folder.remove())
  // Nothing listens on port 1: the demo model alone answers.
  const env = { DATABASE_URL: `sqlite:${folder.path}/parley.db`, LOCAL_BASE_URL: 'http://127.0.0.1:1/v1' }
  const server = await startServerProcess(env)
  stops.push(() => server.end('SIGKILL'))
  const running = runChat(server.url, folder.path, '/count 5000')
  stops.push(running.kill)
  await running.told('stdout', '1 2 3')
  await server.end('SIGKILL')
  await running.told('stderr', 'Connection lost. Trying again…')
  const next = await startServerProcess({ ...env, PORT: String(server.port) })
  stops.push(() => next.end('SIGKILL'))
  expect(await running.exited).toBe(1)
  expect(running.output.stderr).toMatch(/Connected again\.\n\(interrupted: .*\)\n$/)
  const counted = running.output.stdout.trim().split(/\s+/).map(Number)
  expect(counted.slice(0, -1)).toEqual(Array.from({ length: counted.length - 1 }, (_, index) => index + 1))
})
