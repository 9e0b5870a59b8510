import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'

/** Where frames of a subscription go. Nothing is kept here: who finds it full waits for it and reads on from the log. */
export interface Outlet {
  /** False where it took more than it could pass on; then wait for `onDrain` before sending more. */
  readonly isWritable: boolean
  send(frame: string | Buffer): void
  /** Calls back once, when there is room again. */
  onDrain(callback: () => void): void
}

const asText = { binary: false }

export interface OutletLimits {
  /** Bytes unsent past which nothing more is sent; at least the socket's own high-water mark, 64 KiB. */
  maxBufferBytes: number
  /** Milliseconds without a byte taken after which a full socket is closed with 1013. */
  stuckTimeoutMs: number
}

/** The one way out of a WebSocket: it knows how far the peer lags, and closes the socket of one who takes nothing. */
export class SocketOutlet implements Outlet {
  readonly #webSocket: WebSocket
  readonly #socket: Socket
  readonly #traffic: { frames: number }
  readonly #maxBufferBytes: number
  readonly #stuckTimeoutMs: number
  /** Made when somebody waits: most never do. */
  #waiting: Set<() => void> | undefined
  #stuckTimer: NodeJS.Timeout | undefined
  #sentSincePing = 0

  /** @param traffic counts the frames of all sockets */
  constructor(webSocket: WebSocket, socket: Socket, limits: OutletLimits, traffic: { frames: number }) {
    this.#traffic = traffic
    this.#webSocket = webSocket
    this.#socket = socket
    // below its own mark a socket does not tell that it has drained, so whoever waited for that would wait for ever
    this.#maxBufferBytes = Math.max(limits.maxBufferBytes, socket.writableHighWaterMark)
    this.#stuckTimeoutMs = limits.stuckTimeoutMs
    socket.on('drain', () => this.#drained())
    webSocket.once('close', () => {
      clearTimeout(this.#stuckTimer)
      this.#waiting = undefined
    })
  }

  get isWritable(): boolean {
    return this.#webSocket.bufferedAmount <= this.#maxBufferBytes
  }

  send(frame: string | Buffer): void {
    if (this.#webSocket.readyState !== this.#webSocket.OPEN) return
    this.#webSocket.send(frame, asText)
    this.#traffic.frames++
    this.#sentSincePing += frame.length
    if (this.#sentSincePing < this.#maxBufferBytes) return
    // the system keeps megabytes on the way: a ping behind them all would say too late that the peer reads, if slowly
    this.#sentSincePing = 0
    this.#webSocket.ping()
  }

  onDrain(callback: () => void): void {
    if (this.#webSocket.readyState !== this.#webSocket.OPEN) return
    this.#waiting ??= new Set()
    this.#waiting.add(callback)
    this.watch()
  }

  /** Bytes that the peer's connection has taken so far. */
  get taken(): number {
    return this.#socket.bytesWritten - this.#webSocket.bufferedAmount
  }

  /** Whether something waits to be taken; from then on the socket is closed where nothing of it is for too long. */
  watch(): boolean {
    if (this.#webSocket.bufferedAmount === 0) return false
    const { taken } = this
    this.#stuckTimer ??= setTimeout(() => this.#checkStuck(taken), this.#stuckTimeoutMs)
    return true
  }

  #drained(): void {
    clearTimeout(this.#stuckTimer)
    this.#stuckTimer = undefined
    const callbacks = this.#waiting ?? []
    this.#waiting = undefined
    for (const callback of callbacks) callback()
  }

  /** @param before bytes that were taken when the wait began */
  #checkStuck(before: number): void {
    this.#stuckTimer = undefined
    if (this.#webSocket.readyState !== this.#webSocket.OPEN) return
    if (this.taken > before || this.#webSocket.bufferedAmount === 0) return void this.watch()
    this.#webSocket.close(1013, 'Too slow: subscribe again from the last seq')
    // the close frame stands behind what the peer does not take
    setTimeout(() => this.#socket.destroy(), 1_000).unref()
  }
}
