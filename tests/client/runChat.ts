import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('../../client/terminal/chat.ts', import.meta.url))

/** Runs `npm run chat`'s program with this on its input, its guests kept in `home`; `told` resolves once its stdout or stderr has that text. */
export function runChat(url: string, home: string, input: string, args: string[] = []) {
  const child = spawn(process.execPath, [program, '--url', url, ...args], {
    env: { PATH: process.env.PATH, XDG_STATE_HOME: home },
    stdio: 'pipe',
  })
  const output = { stdout: '', stderr: '' }
  const waiting = new Set<() => void>()
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      output[name] += chunk
      for (const look of waiting) look()
    })
  }
  child.stdin.end(input)
  return {
    output,
    kill: () => child.kill('SIGKILL'),
    interrupt: () => child.kill('SIGINT'),
    exited: new Promise<number | null>((resolve) => child.once('close', resolve)),
    told: (stream: 'stdout' | 'stderr', text: string) =>
      new Promise<void>((resolve) => {
        const look = () => output[stream].includes(text) && resolve()
        waiting.add(look)
        look()
      }),
  }
}
