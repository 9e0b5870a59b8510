import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'

/** A WebSocket of which only what a follower needs is there, so that thousands of them cost the machine little. */
export interface LeanSocket {
  send(text: string): void
  terminate(): void
}

export interface LeanSocketHandlers {
  /** A text frame: the bytes from `start` to `end`, valid only during the call. */
  onText(bytes: Buffer, start: number, end: number): void
  onClose(reason: string): void
}

const textOpcode = 1
const closeOpcode = 8
const pingOpcode = 9
const pongOpcode = 10
const finalBit = 0x80

// one for all: every chunk is read to its end before the next one comes
const shared = Buffer.allocUnsafe(256 * 1024)

/** Opens a WebSocket. Source: RFC 6455. What comes fragmented or compressed is refused; no server here sends such. */
export function openLeanSocket(url: string, protocol: string, handlers: LeanSocketHandlers): Promise<LeanSocket> {
  const { hostname, port, pathname } = new URL(url)
  return new Promise((resolve, reject) => {
    let isOpen = false
    let rest: Buffer = Buffer.alloc(0)
    const socket: Socket = connect({
      host: hostname,
      port: Number(port),
      noDelay: true,
      onread: {
        buffer: shared,
        callback(size) {
          let bytes = shared.subarray(0, size)
          if (rest.length > 0) bytes = Buffer.concat([rest, bytes])
          let at = 0
          if (!isOpen) {
            const head = bytes.indexOf('\r\n\r\n')
            if (head < 0) return keep(bytes)
            if (bytes.toString('latin1', 9, 12) !== '101') {
              reject(new Error(`the socket was refused: ${bytes.toString('latin1', 0, head)}`))
              socket.destroy()
              return true
            }
            isOpen = true
            at = head + 4
            resolve({ send: (text) => write(textOpcode, Buffer.from(text)), terminate: () => socket.destroy() })
          }
          return keep(bytes.subarray(readFrames(bytes, at)))
        },
      },
    })
    const keep = (bytes: Buffer): true => {
      rest = bytes.length > 0 ? Buffer.from(bytes) : bytes
      return true
    }
    const readFrames = (bytes: Buffer, from: number): number => {
      let at = from
      while (at + 2 <= bytes.length) {
        let length = bytes[at + 1]!
        let start = at + 2
        if (length === 126) {
          if (start + 2 > bytes.length) break
          length = bytes.readUInt16BE(start)
          start += 2
        } else if (length === 127) {
          if (start + 8 > bytes.length) break
          length = Number(bytes.readBigUInt64BE(start))
          start += 8
        }
        const end = start + length
        if (end > bytes.length) break
        take(bytes[at]!, bytes, start, end)
        at = end
      }
      return at
    }
    const take = (head: number, bytes: Buffer, start: number, end: number) => {
      if (head === (finalBit | textOpcode)) handlers.onText(bytes, start, end)
      else if (head === (finalBit | pingOpcode)) write(pongOpcode, bytes.subarray(start, end))
      else if (head === (finalBit | closeOpcode))
        handlers.onClose(`${bytes.readUInt16BE(start)} ${bytes.toString('utf8', start + 2, end)}`)
      else handlers.onClose(`a frame began with ${head}, which is not understood here`)
    }
    /** A frame with a mask of zeros, which is as good as any on loopback. */
    const write = (opcode: number, payload: Buffer) => {
      const head = Buffer.alloc(payload.length < 126 ? 6 : 8)
      head[0] = finalBit | opcode
      head[1] = 0x80 | (payload.length < 126 ? payload.length : 126)
      if (payload.length >= 126) head.writeUInt16BE(payload.length, 2)
      socket.write(Buffer.concat([head, payload]))
    }
    socket.once('error', reject)
    socket.once('connect', () =>
      socket.write(
        `GET ${pathname} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
          `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n` +
          `Sec-WebSocket-Protocol: ${protocol}\r\n\r\n`,
      ),
    )
  })
}
