import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { makeFolder, startApp, type TestApp } from '../support/app.ts'
import { gql, signIn } from '../support/clients.ts'
import { createSession } from '../support/operations.ts'
import { runChat } from './runChat.ts'

let app: TestApp
let home: Awaited<ReturnType<typeof makeFolder>>
const stops: (() => unknown)[] = []

const startDemo = (env = {}) => startApp({ env: { DEFAULT_MODEL: 'demo/demo', ...env } })

beforeAll(async () => {
  ;[app, home] = await Promise.all([startDemo(), makeFolder()])
})
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})
afterAll(async () => {
  await app.stop()
  await home.remove()
})

function chat({ url }: { url: string }, input: string, ...args: string[]) {
  const running = runChat(url, home.path, input, args)
  stops.push(running.kill)
  return running
}

const sessionOf = (stderr: string) => /Session (\S+),/.exec(stderr)![1]!

test('the input is sent and the answer printed, and nothing else on stdout', async () => {
  const first = chat(app, '/fast /echo Hello\nthere\n')
  expect(await first.exited).toBe(0)
  expect(first.output.stdout).toBe('Hello\nthere\n')
  expect(first.output.stderr).toContain('demo/demo. You are Guest.')
  expect((await stat(join(home.path, 'parley', 'guests.json'))).mode & 0o777).toBe(0o600)

  // The same guest comes back to the session; another one is not let in.
  const sessionId = sessionOf(first.output.stderr)
  const again = chat(app, '/fast /echo Again', '--session', sessionId)
  expect(await again.exited).toBe(0)
  expect(again.output.stdout).toBe('Again\n')
  const other = chat(app, 'Hello', '--session', sessionId, '--name', 'Mallory')
  expect(await other.exited).toBe(1)
  expect(other.output).toEqual({
    stdout: '',
    stderr: expect.stringContaining('There is no such session, or you may not read it.'),
  })
})

test('an invitation lets another person in, with the token that they give', async () => {
  const host = chat(app, '/fast /echo Come', '--invite')
  expect(await host.exited).toBe(0)
  const link = /Others can join: (\S+)/.exec(host.output.stderr)![1]!
  const grace = await signIn(app, 'Grace')
  const guest = chat(app, '/fast /echo Thanks', '--join', link, '--token', grace.token)
  expect(await guest.exited).toBe(0)
  expect(guest.output.stdout).toBe('Thanks\n')
  expect(sessionOf(guest.output.stderr)).toBe(sessionOf(host.output.stderr))
  expect(guest.output.stderr).toContain('You are Grace.')
})

test('Ctrl-C stops the answer and keeps what had come, which ends the program with 1', async () => {
  const ada = await signIn(app)
  const sessionId = await createSession(app, ada)
  const running = chat(app, '/slow /count 5000', '--session', sessionId, '--token', ada.token)
  await running.told('stdout', '1 2 3')
  running.interrupt()
  expect(await running.exited).toBe(1)
  expect(running.output.stderr).toContain('(stopped)')
  const { session } = await gql<{ session: { messages: { edges: { node: { status: string; content: string } }[] } } }>(
    app,
    'query ($id: ID!) { session(id: $id) { messages { edges { node { status content } } } } }',
    { id: sessionId },
    ada,
  )
  const answer = session.messages.edges[1]!.node
  expect({ ...answer, content: `${answer.content}\n` }).toEqual({ status: 'STOPPED', content: running.output.stdout })
})

test('a server that is not there yet is waited for, and what was written is sent once', async () => {
  const gone = await startDemo()
  await gone.stop()
  const early = chat(gone, '/fast /echo Early', '--wait', '600')
  await early.told('stderr', 'The server can’t be reached.')
  const here = await startDemo({ PORT: String(gone.port) })
  stops.push(() => here.stop())
  expect(await early.exited).toBe(0)
  expect(early.output.stdout).toBe('Early\n')
})

test('a wrong command line says what is wrong with it', async () => {
  const wrong = chat({ url: 'nowhere' }, 'Hello')
  expect(await wrong.exited).toBe(1)
  expect(wrong.output.stderr).toContain('--url must be like http://127.0.0.1:4000, not nowhere')
})

test('the input is not kept waiting for ever for a server that is not there', async () => {
  // nothing listens on port 1
  const running = chat({ url: 'http://127.0.0.1:1' }, 'Hello', '--wait', '1')
  expect(await running.exited).toBe(1)
  expect(running.output.stdout).toBe('')
  expect(running.output.stderr.split('\n').slice(-2)).toEqual([
    'The server at http://127.0.0.1:1 can’t be reached.',
    '',
  ])
})
