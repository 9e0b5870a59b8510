import { execFile, spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import Database from 'better-sqlite3'
import { expect, onTestFinished, test } from 'vitest'
import { makeFolder } from '../support/app.ts'
import { signIn } from '../support/clients.ts'
import { createSession, send } from '../support/operations.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

interface Started {
  /** Of npm, and of the group. */
  pid: number
  url: string
  port: number
  databasePath: string
  exited: Promise<unknown>
  /** Resolves once nobody of the group is left. */
  closed: Promise<unknown>
}

/** `npm start` on an empty database, in a process group of its own, which is gone with the test. */
async function npmStart(): Promise<Started> {
  const folder = await makeFolder()
  const databasePath = `${folder.path}/parley.db`
  const child = spawn('npm', ['start'], {
    cwd: root,
    env: {
      PATH: process.env.PATH,
      HOME: folder.path,
      PORT: '0',
      DATABASE_URL: `sqlite:${databasePath}`,
      LOCAL_BASE_URL: 'http://127.0.0.1:1/v1',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  })
  // its output is closed once nobody of the group has it any more
  const closed = new Promise((resolve) => child.once('close', resolve))
  onTestFinished(async () => {
    try {
      process.kill(-child.pid!, 'SIGKILL')
    } catch {
      // all of it is gone
    }
    await closed
    await folder.remove()
  })
  const port = await new Promise<number>((resolve, reject) => {
    createInterface(child.stdout).on('line', (line) => {
      const [, found] = /^Parley runs at \S+:(\d+)$/.exec(line) ?? []
      if (found) resolve(Number(found))
    })
    child.once('error', reject)
    void closed.then((code) => reject(new Error(`npm start ended with ${String(code)}.`)))
  })
  return {
    pid: child.pid!,
    url: `http://127.0.0.1:${port}`,
    port,
    databasePath,
    closed,
    exited: new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal))),
  }
}

/** Fails where another has the port. */
async function takePort(port: number): Promise<void> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
  await new Promise((resolve) => server.close(resolve))
}

test('SIGTERM to npm start ends the server, in its own way, and frees its port', { timeout: 120_000 }, async () => {
  const { pid, port, exited, closed } = await npmStart()
  process.kill(pid, 'SIGTERM')
  expect(await exited).toBe(0)
  await closed
  await takePort(port)
})

test('Ctrl-C in npm start is one signal, and lets the running answer end', { timeout: 120_000 }, async () => {
  const { pid, url, exited, closed, databasePath } = await npmStart()
  const ada = await signIn({ url })
  const app = { url }
  await send(app, ada, await createSession(app, ada, { model: 'demo/demo' }), '/count 60')
  // as the terminal does it: to everyone of the group
  process.kill(-pid, 'SIGINT')
  await exited
  await closed
  const database = new Database(databasePath, { readonly: true })
  onTestFinished(() => void database.close())
  expect(database.prepare(`SELECT status FROM generations`).all()).toEqual([{ status: 'COMPLETE' }])
})

test('every npm script but chat hands signals to the program that it names', async () => {
  const { scripts } = JSON.parse(await readFile(`${root}package.json`, 'utf8')) as { scripts: Record<string, string> }
  // a chat, for which Ctrl-C means one thing the first time and another the second, would hear it twice
  const own = Object.entries(scripts).flatMap(([name, command]) =>
    name !== 'chat' && command.includes('node ') ? [command] : [],
  )
  expect(own.length).toBeGreaterThan(5)
  expect(own.filter((command) => !command.startsWith('exec node '))).toEqual([])
})

test.each(['--port', '8080', '--hlep'])(
  'npm start refuses an argument that it does not know, in one line: %s',
  async (argument) => {
    const { code, output } = await new Promise<{ code: unknown; output: string }>((resolve) => {
      const args = [`${root}server/main.ts`, argument]
      execFile(
        process.execPath,
        args,
        { env: { DATABASE_URL: 'sqlite:/nowhere/at/all.db' } },
        (error, stdout, stderr) => resolve({ code: error?.code, output: stdout + stderr }),
      )
    })
    expect(code).toBe(1)
    expect(output).toBe(
      `"${argument}" is no argument of npm start: settings come from the environment, and npm start -- --help lists them.\n`,
    )
  },
)
