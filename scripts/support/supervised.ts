import { setTimeout as delay } from 'node:timers/promises'
import { startServer, type ServerProcess } from './serverProcess.ts'

const firstWaitMs = 200
const longestWaitMs = 10_000
/** One that has run for so long had not failed at its start. */
const steadyMs = 30_000

/** A server that is started again, at the same place, whenever it ends without having been told to. */
export async function startSupervised(env: NodeJS.ProcessEnv, say: (line: string) => void): Promise<ServerProcess> {
  let current = await startServer(env, say)
  const { url } = current
  const again = { ...env, PORT: new URL(url).port }
  const told = new AbortController()

  async function supervise(): Promise<number | NodeJS.Signals> {
    let waitMs = firstWaitMs
    while (true) {
      const startedAt = performance.now()
      const how = await current.exited
      if (how === 0 || told.signal.aborted) return how
      if (performance.now() - startedAt > steadyMs) waitMs = firstWaitMs
      say(`ended with ${how}; it is started again`)
      while (true) {
        await delay(waitMs, undefined, { signal: told.signal }).catch(() => undefined)
        if (told.signal.aborted) return how
        waitMs = Math.min(waitMs * 2, longestWaitMs)
        const started = await startServer(again, say).catch((error: Error) => {
          say(error.message)
        })
        if (!started) continue
        current = started
        say(`runs again, process ${current.pid}`)
        if (told.signal.aborted) current.signal('SIGTERM')
        break
      }
    }
  }

  const exited = supervise()
  return {
    url,
    exited,
    get pid() {
      return current.pid
    },
    signal(signal) {
      told.abort()
      current.signal(signal)
    },
  }
}
