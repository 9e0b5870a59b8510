/**
 * Loaded into a server by `--import`: on SIGUSR2 it collects garbage and says, in one line of its output, what the process
 * holds, so that memory can be told from garbage.
 */
import { Socket } from 'node:net'

const isFull = (handle: unknown): boolean =>
  handle instanceof Socket && handle.writableLength > handle.writableHighWaterMark

async function tell(): Promise<void> {
  // What is released by one collection (weak references, buffers of native code) is collected by the next.
  for (let n = 0; n < 3; n++) {
    globalThis.gc?.()
    await new Promise(setImmediate)
  }
  const { rss, heapUsed, external } = process.memoryUsage()
  const handles = (process as unknown as { _getActiveHandles(): unknown[] })._getActiveHandles()
  const fullSockets = handles.filter(isFull).length
  process.stdout.write(`memory ${JSON.stringify({ rss, held: heapUsed + external, fullSockets })}\n`)
}

process.on('SIGUSR2', () => void tell())
