import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export interface QueryCounter {
  readonly port: number
  /** Statements that were sent for execution so far, BEGIN and COMMIT included. */
  readonly queries: number
  stop(): Promise<void>
}

const simpleQuery = 'Q'.charCodeAt(0)
const execute = 'E'.charCodeAt(0)

/** A way to the PostgreSQL at `port` that counts what is asked of it, by the messages of its protocol. */
export async function startQueryCounter(port: number): Promise<QueryCounter> {
  const sockets = new Set<Socket>()
  let queries = 0
  const server = createServer((client) => {
    const upstream = connect({ port, host: '127.0.0.1', noDelay: true })
    const count = createReader((kind) => {
      if (kind === simpleQuery || kind === execute) queries++
    })
    client.on('data', count)
    client.pipe(upstream)
    upstream.pipe(client)
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    get queries() {
      return queries
    },
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

/** Calls back with the type of each message: one byte, then four of length. The first message has no type. */
function createReader(onMessage: (kind: number) => void): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0)
  let isFirst = true
  return (chunk) => {
    rest = Buffer.concat([rest, chunk])
    while (true) {
      const head = isFirst ? 0 : 1
      if (rest.length < head + 4) return
      const end = head + rest.readUInt32BE(head)
      if (rest.length < end) return
      if (!isFirst) onMessage(rest[0]!)
      isFirst = false
      rest = rest.subarray(end)
    }
  }
}
