import { fork, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../../', import.meta.url))

const running = new Set<ChildProcess>()

export function track(child: ChildProcess): ChildProcess {
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

/** Ends a process that was started here, at once if it does not end by itself. */
export async function end(child: ChildProcess, timeoutMs = 5_000): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
  await gone
  clearTimeout(timer)
}

const folders = new Set<string>()

/** A new folder; whoever made it may remove it, `cleanUp` does it otherwise. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'parley-bench-'))
  folders.add(folder)
  return folder
}

/** Ends at once whatever still runs of what was started here, and removes what it wrote. */
export async function cleanUp(): Promise<void> {
  const gone = [...running].map((child) => new Promise((resolve) => child.once('exit', resolve)))
  for (const child of running) child.kill('SIGKILL')
  await Promise.all(gone)
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  folders.clear()
}

/** Answers of a child to what it was asked. */
export interface Remote<Methods extends object> {
  readonly pid: number
  /** What it said when it was ready. */
  readonly url: string
  readonly child: ChildProcess
  call<Name extends keyof Methods & string>(
    name: Name,
    params: Parameter<Methods[Name]>,
  ): Promise<Result<Methods[Name]>>
  stop(): Promise<void>
}

type Parameter<Method> = Method extends (params: infer P) => unknown ? P : never
type Result<Method> = Method extends (...params: never[]) => infer R ? Awaited<R> : never

interface Answer {
  id?: number
  ready?: string
  result?: unknown
  error?: string
}

/**
 * Starts a program of this folder in a process of its own and waits until it is ready.
 * @param file path below `bench/`
 */
export async function start<Methods extends object>(
  file: string,
  { args = [], nodeArgs = [] }: { args?: string[]; nodeArgs?: string[] } = {},
): Promise<Remote<Methods>> {
  // that many followers listen to one emitter is what is measured
  const execArgv = ['--disable-warning=MaxListenersExceededWarning', ...nodeArgs]
  const child = track(fork(`${root}bench/${file}`, args, { execArgv, cwd: root }))
  const pending = new Map<number, PromiseWithResolvers<unknown>>()
  const ready = Promise.withResolvers<string>()
  let nextId = 1
  child.on('message', ({ id, ready: url, result, error }: Answer) => {
    if (url !== undefined) return ready.resolve(url)
    const waiting = pending.get(id!)
    pending.delete(id!)
    if (error === undefined) waiting?.resolve(result)
    else waiting?.reject(new Error(`${file}: ${error}`))
  })
  child.once('exit', (code, signal) => {
    const gone = new Error(`${file} ended by itself (${code ?? signal})`)
    ready.reject(gone)
    for (const { reject } of pending.values()) reject(gone)
  })
  const url = await ready.promise
  return {
    pid: child.pid!,
    url,
    child,
    async call(name, params) {
      const id = nextId++
      const waiting = Promise.withResolvers<unknown>()
      pending.set(id, waiting)
      child.send({ id, name, params })
      return (await waiting.promise) as never
    },
    stop: () => end(child),
  }
}
