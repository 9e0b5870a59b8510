import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** The processes a script has started, so that all of them end when it is told to. */
export interface Children {
  /** Starts a Node program with this terminal as its own; answers its exit code, 1 if a signal ended it. */
  run(args: string[], env?: NodeJS.ProcessEnv): Promise<number>
  /** Asks every child to end. */
  end(): void
  /** Whether `end` was called, or Ctrl-C or a signal arrived. */
  readonly isEnding: boolean
}

export function createChildren(): Children {
  const running = new Set<ChildProcess>()
  let isEnding = false

  const end = () => {
    isEnding = true
    for (const child of running) child.kill('SIGTERM')
  }
  // In a terminal the children get Ctrl-C too; this process stays until they are gone.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end)

  return {
    end,
    get isEnding() {
      return isEnding
    },
    async run(args, env) {
      if (isEnding) return 1
      const child = spawn(process.execPath, args, { stdio: 'inherit', env: { ...process.env, ...env } })
      running.add(child)
      try {
        return await new Promise((resolve, reject) => {
          child.once('error', reject)
          child.once('exit', (code) => resolve(code ?? 1))
        })
      } finally {
        running.delete(child)
      }
    },
  }
}

/** The path of an installed command-line program, to be run by the Node that runs this. */
export function programPath(name: string): string {
  return fileURLToPath(new URL(`../node_modules/.bin/${name}`, import.meta.url))
}
