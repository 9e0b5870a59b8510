import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export interface Balancer {
  /** `http://…` without a slash at the end. */
  readonly url: string
  /** Takes no more connections and cuts those that are open. */
  stop(): Promise<void>
}

export interface BalancerOptions {
  /** `http://…` of each node. */
  nodes: readonly string[]
  port: number
  host?: string
  /** Milliseconds between two looks at every node's `/health/ready`. */
  checkIntervalMs?: number
}

/**
 * Starts a TCP balancer: each new connection goes to the next node whose `/health/ready` answers 200, or, where none
 * does, to the next of all; one that refuses it is passed over. It knows nothing of what the connection is used for.
 */
export async function startBalancer(options: BalancerOptions): Promise<Balancer> {
  const { nodes, port, host = '127.0.0.1', checkIntervalMs = 500 } = options
  const ready = new Set(nodes)
  const open = new Set<Socket>()
  let turn = 0

  const check = async (node: string): Promise<void> => {
    const isReady = await fetch(`${node}/health/ready`, { signal: AbortSignal.timeout(2_000) }).then(
      async (response) => {
        await response.body?.cancel()
        return response.ok
      },
      () => false,
    )
    if (isReady) ready.add(node)
    else ready.delete(node)
  }
  const timer = setInterval(() => nodes.forEach((node) => void check(node)), checkIntervalMs)

  /** Those that are ready, from the one whose turn it is, then the others. */
  const inTurn = (): string[] => {
    const able = nodes.filter((node) => ready.has(node))
    const from = turn++ % (able.length || 1)
    return [...able.slice(from), ...able.slice(0, from), ...nodes.filter((node) => !ready.has(node))]
  }

  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (client) => {
    track(client)
    void pass(client, inTurn())
  })

  async function pass(client: Socket, candidates: string[]): Promise<void> {
    for (const node of candidates) {
      const { hostname, port: nodePort } = new URL(node)
      const upstream = connect({ host: hostname, port: Number(nodePort), allowHalfOpen: true, noDelay: true })
      track(upstream)
      try {
        await once(upstream, 'connect')
      } catch {
        ready.delete(node)
        continue
      }
      if (client.destroyed) return void upstream.destroy()
      for (const [from, to] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        from.pipe(to)
        // an end without an `end` is a reset, and the other side is told so too
        from.once('close', () => (from.readableEnded ? to.end() : to.resetAndDestroy()))
      }
      return
    }
    client.resetAndDestroy()
  }

  function track(socket: Socket): void {
    open.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => open.delete(socket))
  }

  try {
    server.listen(port, host)
    await once(server, 'listening')
  } catch (error) {
    clearInterval(timer)
    throw error
  }
  return {
    url: `http://${host}:${(server.address() as AddressInfo).port}`,
    async stop() {
      clearInterval(timer)
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of open) socket.destroy()
      await closed
    },
  }
}
