import { buildConnector, Client } from 'undici'

export interface Connection {
  readonly client: Client
  /** For an answer that was read to its end: the connection may carry the next request. */
  release(): void
  /** Ends whatever is under way. Resolves once the socket is closed. */
  destroy(): Promise<void>
}

export interface Connections {
  take(): Connection
  close(): Promise<void>
}

const maxIdle = 32

/**
 * Connections to one model server, one for each answer under way and as many as are wanted. Not undici's pool: that
 * does not tell which socket carries a request, and a stop is acknowledged only once that very socket is closed.
 *
 * A connection that is destroyed while it is being opened has sent nothing; its socket closes by itself, at the latest
 * at the connect timeout.
 */
export function createConnections(origin: string, options: { connectTimeoutMs: number }): Connections {
  // Shared, so that a new connection resumes the TLS session of an earlier one.
  const connect = buildConnector({ timeout: options.connectTimeoutMs, allowH2: false })
  const idle: Client[] = []
  const open = new Set<Client>()
  let isClosed = false

  const end = async (client: Client) => {
    await client.destroy()
    open.delete(client)
  }

  return {
    take() {
      if (isClosed) throw new Error('The connections are closed.')
      // headersTimeout and bodyTimeout are off: resilience has the limits, and knows their settings' names.
      const client = idle.pop() ?? new Client(origin, { connect, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 })
      open.add(client)
      return {
        client,
        release: () => {
          if (isClosed || client.destroyed) return
          if (idle.length < maxIdle) idle.push(client)
          else void end(client)
        },
        destroy: () => end(client),
      }
    },
    async close() {
      isClosed = true
      await Promise.all([...open].map(end))
    },
  }
}
