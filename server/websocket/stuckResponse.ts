import type { ServerResponse } from 'node:http'

const looks = 4

/**
 * Cuts off a streamed response whose reader takes nothing of what is there for it, after so many milliseconds and at most
 * a quarter more. Looks at the connection now and then, so that nothing is added to what is written to it.
 * @returns what ends the watch
 */
export function endWhenStuck(response: ServerResponse, timeoutMs: number): () => void {
  let takenBefore = 0
  // counted, not timed: while this process itself stood still nobody could take anything
  let inVain = 0
  const timer = setInterval(() => {
    const { socket } = response
    const taken = socket ? socket.bytesWritten - socket.writableLength : 0
    inVain = response.writableLength > 0 && taken === takenBefore ? inVain + 1 : 0
    takenBefore = taken
    if (inVain >= looks) response.destroy()
  }, timeoutMs / looks)
  return () => clearInterval(timer)
}
