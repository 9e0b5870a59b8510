import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { handleProtocols } from 'graphql-ws'
import { WebSocketServer, type WebSocket } from 'ws'
import { foreignHost, isOwnHost } from '../http/host.ts'
import { isAllowedOrigin } from '../http/origin.ts'
import { pathOf } from '../http/router.ts'
import { noteConnectionRefused, startTrail, trailOf } from '../http/trail.ts'
import { ClientSocket } from './clientSocket.ts'
import { KeepAlive } from './keepAlive.ts'
import { createProtocol, type ProtocolParts } from './protocol.ts'
import { refuse } from './upgrade.ts'

export interface Sockets {
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
  count(): number
  /** Bytes that all sockets took so far. */
  bytesSent(): number
  /**
   * Closes every socket with 1012 (service restart), which clients answer by connecting again; spread over so many
   * milliseconds, since they would all come to the next node at once.
   * @param hurry aborted, all that are left are closed at once
   */
  close(spreadMs: number, hurry?: AbortSignal): Promise<void>
}

/** The WebSockets of a node, from their upgrade on; each speaks graphql-transport-ws. */
export function createSockets(parts: ProtocolParts): Sockets {
  const { services } = parts
  const { audit, config, metrics } = services
  const protocol = createProtocol(parts)
  const keepAlive = new KeepAlive(config.pingIntervalMs)
  let isClosing = false
  const open = new Set<ClientSocket>()
  let bytesOfClosed = 0
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: config.maxFrameBytes,
    perMessageDeflate: false,
    handleProtocols,
  })

  server.on('headers', (headers, request) => headers.push(`X-Request-Id: ${trailOf(request).requestId}`))

  function accept(socket: WebSocket, request: IncomingMessage): void {
    metrics.requestDone('websocket', 101)
    const client = new ClientSocket(services, socket, request)
    open.add(client)
    client.start(protocol, keepAlive, closed)
  }

  function closed(client: ClientSocket): void {
    open.delete(client)
    bytesOfClosed += client.bytesSent
  }

  return {
    upgrade(request, socket, head) {
      const trail = startTrail(services, request)
      const refuseWith = (status: number, reason: string, sentence?: string): void => {
        metrics.requestDone('websocket', status)
        refuse(socket, `${status} ${reason}`, trail.requestId, sentence)
      }
      if (isClosing) return refuseWith(503, 'Service Unavailable')
      if (!isOwnHost(request, config)) {
        noteConnectionRefused(audit, trail, 'FORBIDDEN')
        return refuseWith(421, 'Misdirected Request', foreignHost)
      }
      if (pathOf(request) !== '/graphql') return refuseWith(404, 'Not Found')
      if (!isAllowedOrigin(request, config.allowedOrigins)) {
        noteConnectionRefused(audit, trail, 'FORBIDDEN')
        return refuseWith(403, 'Forbidden')
      }
      server.handleUpgrade(request, socket, head, accept)
    },
    count: () => server.clients.size,
    bytesSent: () => [...open].reduce((sum, client) => sum + client.bytesSent, bytesOfClosed),
    async close(spreadMs, hurry) {
      isClosing = true
      const clients = [...server.clients]
      const closeOne = (client: WebSocket): void => client.close(1012, 'Service restart')
      const timers = clients.map((client) => setTimeout(() => closeOne(client), Math.random() * spreadMs))
      hurry?.addEventListener('abort', () => clients.forEach(closeOne), { once: true })
      // who does not answer the close within two seconds is cut off
      timers.push(setTimeout(() => server.clients.forEach((client) => client.terminate()), spreadMs + 2_000))
      keepAlive.stop()
      await new Promise<void>((resolve) => server.close(() => resolve()))
      for (const timer of timers) clearTimeout(timer)
    },
  }
}
