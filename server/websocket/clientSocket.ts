import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Server as Protocol, WebSocket as ProtocolSocket } from 'graphql-ws'
import type { RawData, WebSocket } from 'ws'
import type { Services } from '../context.ts'
import { createTrail, type Trail } from '../guards/auditTrail.ts'
import { originOf } from '../http/address.ts'
import { isOwnPage, tokenIn } from '../http/cookie.ts'
import { noteConnectionRefused, trailOf } from '../http/trail.ts'
import { askerOf, type Asker } from '../resolvers/createContext.ts'
import type { Visitor } from './admission.ts'
import type { KeepAlive } from './keepAlive.ts'
import { SocketOutlet } from './outlet.ts'

type Parts = Pick<Services, 'audit' | 'config' | 'logger' | 'metrics'>

/**
 * One WebSocket, from its upgrade until it is closed: whose it is, and what graphql-ws reads and writes by. There are
 * thousands that only wait, so it keeps no request, and no function where a method does.
 */
export class ClientSocket implements Visitor, ProtocolSocket {
  readonly socket: WebSocket
  readonly outlet: SocketOutlet
  readonly cookieToken: string | undefined
  readonly trail: Trail
  asker: Asker
  release: (() => void)[] = []
  readonly #parts: Parts
  readonly #connection: Socket
  #initTimer: NodeJS.Timeout | undefined
  #operations = 0

  constructor(parts: Parts, socket: WebSocket, request: IncomingMessage) {
    const { config, metrics } = parts
    this.#parts = parts
    this.#connection = request.socket
    this.socket = socket
    this.trail = trailOf(request)
    this.outlet = new SocketOutlet(
      socket,
      request.socket,
      { maxBufferBytes: config.maxSocketBufferBytes, stuckTimeoutMs: config.stuckSocketTimeoutMs },
      metrics.traffic,
    )
    const { address } = this.trail
    this.asker = askerOf(null, { address, origin: originOf(request, config.trustProxy) })
    this.cookieToken = isOwnPage(request, config.allowedOrigins) ? tokenIn(request) : undefined
    this.#initTimer = setTimeout(
      () => this.close(4408, 'Connection initialisation timeout'),
      config.connectionInitTimeoutMs,
    )
  }

  /** @param onClosed what else is to be done once it is closed */
  start(protocol: Protocol<ClientSocket>, keepAlive: KeepAlive, onClosed: (client: ClientSocket) => void): void {
    const closed = protocol.opened(this, this)
    this.socket.on('error', (error) => this.#failed(error))
    // ws answers these by itself
    this.socket.on('ping', () => this.#readOnlyWhileWritable())
    const forget = keepAlive.add(this.socket, this.outlet)
    this.socket.once('close', (code, reason) => {
      forget()
      this.stopInitTimer()
      onClosed(this)
      for (const undo of this.release) undo()
      closed(code, reason.toString()).catch((error: unknown) => this.#logError('a WebSocket did not close', error))
    })
  }

  /** Once the client has begun, or is gone. */
  stopInitTimer(): void {
    clearTimeout(this.#initTimer)
    this.#initTimer = undefined
  }

  /** Each operation has an id of its own. */
  nextTrail(): Trail {
    return createTrail(`${this.trail.requestId}.${++this.#operations}`, this.asker.address)
  }

  get isOpen(): boolean {
    return this.socket.readyState === this.socket.OPEN
  }

  /** Bytes that it took so far. */
  get bytesSent(): number {
    return this.#connection.bytesWritten
  }

  get protocol(): string {
    return this.socket.protocol
  }

  send(data: string): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.isOpen) return resolve()
      this.socket.send(data, (error) => (error ? reject(error) : resolve()))
      this.#readOnlyWhileWritable()
    })
  }

  /** A client that reads no answers could otherwise fill the memory by asking for more of them. */
  #readOnlyWhileWritable(): void {
    if (this.outlet.isWritable || this.socket.isPaused || !this.isOpen) return
    this.socket.pause()
    this.outlet.onDrain(() => this.socket.resume())
  }

  close(code?: number, reason?: string): void {
    this.socket.close(code, reason)
  }

  onMessage(handle: (data: string) => Promise<void>): void {
    this.socket.on('message', (data) => {
      handle(read(data)).catch((error: unknown) => this.#notHandled(error))
    })
  }

  #notHandled(error: unknown): void {
    if (!this.isOpen) return
    // graphql-ws throws at what only a server says, and its error has no type of its own
    if ((error as Error).message.startsWith('Unexpected message of type'))
      return this.close(4400, 'Not a message of a client')
    this.#logError('a WebSocket message could not be handled', error)
    this.close(1011, 'Internal error')
  }

  /** E.g. a frame that is too large: ws closes the socket with the code that belongs to it by itself. */
  #failed(error: Error): void {
    const { audit, logger } = this.#parts
    logger.debug('a WebSocket failed', { error, requestId: this.trail.requestId })
    if ('code' in error && error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH')
      noteConnectionRefused(audit, this.trail, 'INVALID_INPUT')
  }

  #logError(message: string, error: unknown): void {
    this.#parts.logger.error(message, { error, requestId: this.trail.requestId })
  }
}

const textOf = (data: RawData): string =>
  (Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer)).toString()

/**
 * A message, parsed: graphql-ws takes it so too, and keeps what it was given as long as the subscription that it asks for.
 * As text where it is not JSON, of which graphql-ws says so.
 */
function read(data: RawData): string {
  const text = textOf(data)
  try {
    const message = JSON.parse(text) as string
    // graphql-ws would parse once more what is a text in JSON, and take for a message what is none
    return typeof message === 'string' ? text : withoutPingPayload(message)
  } catch {
    return text
  }
}

/** graphql-ws would send the payload of a ping back, so that a client could have any amount of it written. */
function withoutPingPayload(message: string): string {
  const { type } = (message ?? {}) as { type?: unknown }
  return type === 'ping' ? ({ type } as unknown as string) : message
}
