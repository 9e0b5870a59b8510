import type { WebSocket } from 'ws'
import type { SocketOutlet } from './outlet.ts'

/** Sockets are pinged in so many groups, one after the other: all at once would be a burst. */
const groupCount = 12

/** Pings every socket once in an interval, and ends one that has not answered by the next; by one timer for them all. */
export class KeepAlive {
  readonly #groups = Array.from({ length: groupCount }, () => new Map<WebSocket, SocketOutlet>())
  readonly #unanswered = new WeakSet<WebSocket>()
  readonly #onPong: (this: WebSocket) => void
  readonly #timer: NodeJS.Timeout
  #turn = 0

  constructor(intervalMs: number) {
    const unanswered = this.#unanswered
    // one function for all sockets: what each would keep for itself adds up
    this.#onPong = function (this: WebSocket): void {
      unanswered.delete(this)
    }
    this.#timer = setInterval(() => this.#pingGroup(), intervalMs / groupCount)
  }

  /** @returns what forgets it again */
  add(socket: WebSocket, outlet: SocketOutlet): () => void {
    // the group whose turn is over: its next one is a whole interval away
    const group = this.#groups[(this.#turn + groupCount - 1) % groupCount]!
    group.set(socket, outlet)
    socket.on('pong', this.#onPong)
    return () => group.delete(socket)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #pingGroup(): void {
    const group = this.#groups[this.#turn]!
    this.#turn = (this.#turn + 1) % groupCount
    for (const [socket, outlet] of group) {
      // the pong of one who reads slowly stands behind what it has not read; whether it reads at all the outlet watches
      if (outlet.watch()) continue
      if (this.#unanswered.has(socket)) socket.terminate()
      else if (socket.readyState === socket.OPEN) {
        this.#unanswered.add(socket)
        socket.ping()
      }
    }
  }
}
