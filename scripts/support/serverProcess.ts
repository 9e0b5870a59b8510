import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface ServerProcess {
  readonly pid: number
  /** Where it listens. */
  readonly url: string
  readonly exited: Promise<number | NodeJS.Signals>
  signal(signal: NodeJS.Signals): void
}

const main = fileURLToPath(new URL('../../server/main.ts', import.meta.url))

/**
 * Starts a server as `npm start` does, in a process of its own that the terminal's Ctrl-C does not reach.
 * @param say gets its lines, those of its log too
 */
export async function startServer(env: NodeJS.ProcessEnv, say: (line: string) => void): Promise<ServerProcess> {
  const child = spawn(process.execPath, [main], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const exited = new Promise<number | NodeJS.Signals>((resolve) =>
    child.once('exit', (code, signal) => resolve(code ?? signal!)),
  )
  const endWithUs = (): void => void child.kill('SIGKILL')
  process.once('exit', endWithUs)
  void exited.then(() => process.off('exit', endWithUs))
  createInterface(child.stderr).on('line', say)
  const url = await new Promise<string>((resolve, reject) => {
    createInterface(child.stdout).on('line', (line) => {
      const [, found] = /^Parley runs at (\S+)$/.exec(line) ?? []
      if (found) resolve(found)
      else if (!line.startsWith('  ')) say(line)
    })
    child.once('error', reject)
    void exited.then((how) => reject(new Error(`A server ended with ${how} before it ran.`)))
  })
  return { pid: child.pid!, url, exited, signal: (signal) => void child.kill(signal) }
}
