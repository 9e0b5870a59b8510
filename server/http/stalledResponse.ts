import type { ServerResponse } from 'node:http'

const looks = 4

/**
 * Ends a response, with its connection, when the client has read nothing of it for so many milliseconds, and at most a
 * quarter more. A response with nothing left to send is never ended.
 */
export function endWhenStalled(response: ServerResponse, timeoutMs: number): void {
  let takenBefore = ''
  // counted, not timed: while this process itself stood still nobody could read anything
  let inVain = 0
  const timer = setInterval(() => {
    const { socket } = response
    // no socket yet: an earlier response on the same connection comes first, and has a watch of its own
    const taken = socket ? takenOf(socket) : ''
    inVain = socket && response.writableLength > 0 && taken === takenBefore ? inVain + 1 : 0
    takenBefore = taken
    if (inVain >= looks) response.destroy()
  }, timeoutMs / looks)
  response.once('close', () => clearInterval(timer))
}

type Socket = NonNullable<ServerResponse['socket']>

/** Changes whenever the system takes something, also a part of one large write, as Node's own socket timeout sees it. */
function takenOf(socket: Socket): string {
  const { _handle: handle } = socket as Socket & { _handle?: { writeQueueSize: number } | null }
  return `${socket.bytesWritten - socket.writableLength}:${handle?.writeQueueSize ?? 0}`
}
