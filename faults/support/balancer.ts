import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export interface Balancer {
  readonly port: number
  readonly url: string
  stop(): Promise<void>
}

/** Passes each connection to the next of these ports on the loopback that takes it, in turn. */
export async function startBalancer(ports: readonly number[]): Promise<Balancer> {
  const sockets = new Set<Socket>()
  const track = (socket: Socket): Socket => {
    sockets.add(socket)
    return socket.once('close', () => sockets.delete(socket))
  }
  let turn = 0
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    track(client).on('error', () => undefined)
    void pass(client)
  })

  async function pass(client: Socket): Promise<void> {
    const start = turn++
    for (let n = 0; n < ports.length; n++) {
      const upstream = track(
        connect({ port: ports[(start + n) % ports.length]!, host: '127.0.0.1', allowHalfOpen: true, noDelay: true }),
      )
      const isConnected = await once(upstream, 'connect').then(
        () => true,
        () => false,
      )
      if (!isConnected) continue
      upstream.on('error', () => client.resetAndDestroy())
      client.on('error', () => upstream.resetAndDestroy())
      upstream.on('close', () => client.destroy())
      client.on('close', () => upstream.destroy())
      client.pipe(upstream)
      upstream.pipe(client)
      return
    }
    client.resetAndDestroy()
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
