import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Random } from './random.ts'

/**
 * `rst`: both sides get a reset. `fin`: both sides get an orderly end, even in the middle of a frame.
 * `half-open`: nothing passes any more and neither side is told.
 */
export type Cut = 'rst' | 'fin' | 'half-open'

export interface RandomCuts {
  random: Random
  /** A connection is cut after a random number of bytes to the client between these two, mostly inside a frame. */
  afterBytes: [min: number, max: number]
  /** `silence`: nothing passes for a while, then all of it, as if nothing had been. */
  ways: readonly (Cut | 'silence')[]
  silenceMs?: number
}

export interface Proxy {
  port: number
  /** Connections open now, the half-open ones included. */
  readonly connections: number
  /** Connections cut so far, by hand or at random. */
  readonly cuts: number
  /** Cuts what is open and says how many connections that was. */
  cutAll(how: Cut): number
  /** Lets nothing pass, on new connections either, for `ms` or until `resume`. */
  stallAll(ms?: number): void
  resume(): void
  /** Limits each connection's bytes to the client; `null` ends the limit. */
  throttle(bytesPerSecond: number | null): void
  /** From now on cuts every connection, new ones too, at random places; `null` ends it. */
  cutRandomly(cuts: RandomCuts | null): void
  /** Refuses new connections, as where nothing listens, until `accept`; what is open stays. */
  refuse(): void
  accept(): Promise<void>
  stop(): Promise<void>
}

interface Link {
  client: Socket
  upstream: Socket
  isDead: boolean
  /** Bytes to the client before the next random cut. */
  bytesLeft: number
  /** Both ways wait for it. */
  silence: Promise<void> | null
}

/** Starts a TCP proxy on a free port of the loopback, in front of `port`, whose connections can be made to fail. */
export async function startProxy({ port: targetPort }: { port: number }): Promise<Proxy> {
  const links = new Set<Link>()
  let cutting: RandomCuts | null = null
  let cuts = 0
  let bytesPerSecond: number | null = null
  let stalled: { over: Promise<void>; end: () => void } | null = null
  let stallTimer: NodeJS.Timeout | undefined

  const drawBytes = () => (cutting ? cutting.random.int(...cutting.afterBytes) : Infinity)

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const upstream = connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    const link: Link = { client, upstream, isDead: false, bytesLeft: drawBytes(), silence: null }
    links.add(link)
    join(link, client, upstream)
    join(link, upstream, client)
  })

  function join(link: Link, from: Socket, to: Socket): void {
    from.on('data', (chunk: Buffer) => {
      // One chunk at a time, so that a stall or a slow reader holds the sender back as a real link would.
      from.pause()
      void pass(link, chunk, to).then(() => {
        if (!link.isDead) from.resume()
      })
    })
    from.on('end', () => {
      if (!link.isDead) to.end()
    })
    from.on('error', () => {
      if (!link.isDead) to.resetAndDestroy()
    })
    from.on('close', () => {
      if (!link.isDead && !from.readableEnded) to.destroy()
      if (from.destroyed && to.destroyed) links.delete(link)
    })
  }

  async function pass(link: Link, chunk: Buffer, to: Socket): Promise<void> {
    const isToClient = to === link.client
    for (let at = 0; at < chunk.length;) {
      while (stalled ?? link.silence) await (stalled?.over ?? link.silence)
      if (link.isDead) return
      const limit = isToClient ? bytesPerSecond : null
      const size = Math.min(chunk.length - at, limit === null ? Infinity : Math.ceil(limit / 50))
      const part = chunk.subarray(at, at + size)
      if (isToClient && cutting && part.length >= link.bytesLeft) {
        const how = cutting.random.pick(cutting.ways)
        if (how !== 'silence') return cutInside(link, part, how)
        cuts++
        link.bytesLeft = drawBytes()
        await silence(link, cutting.silenceMs ?? 1_000)
        continue
      }
      if (isToClient) link.bytesLeft -= part.length
      at += size
      if (!to.write(part)) await drained(to)
      if (limit !== null) await delay((part.length / limit) * 1000, undefined, { ref: false })
    }
  }

  function cutInside(link: Link, part: Buffer, how: Cut): void {
    link.isDead = true
    // What comes before the cut goes to the kernel first, else a reset would take it back.
    link.client.write(part.subarray(0, link.bytesLeft), () => cut(link, how))
  }

  async function silence(link: Link, ms: number): Promise<void> {
    link.silence = delay(ms, undefined, { ref: false })
    await link.silence
    link.silence = null
  }

  function cut(link: Link, how: Cut): void {
    link.isDead = true
    cuts++
    for (const socket of [link.client, link.upstream]) {
      if (how === 'half-open') socket.pause()
      else if (how === 'rst') socket.resetAndDestroy()
      else socket.end(() => socket.destroy())
    }
  }

  function resume(): void {
    clearTimeout(stallTimer)
    const ended = stalled
    stalled = null
    ended?.end()
  }

  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  return {
    port,
    get connections() {
      return links.size
    },
    get cuts() {
      return cuts
    },
    cutAll(how) {
      const open = [...links].filter((link) => !link.isDead)
      for (const link of open) cut(link, how)
      return open.length
    },
    stallAll(ms) {
      resume()
      const { promise: over, resolve: end } = Promise.withResolvers<void>()
      stalled = { over, end }
      if (ms !== undefined) stallTimer = setTimeout(resume, ms)
    },
    resume,
    throttle(wanted) {
      bytesPerSecond = wanted
    },
    cutRandomly(wanted) {
      cutting = wanted
      for (const link of links) link.bytesLeft = drawBytes()
    },
    refuse() {
      if (server.listening) server.close()
    },
    async accept() {
      if (!server.listening) await once(server.listen(port, '127.0.0.1'), 'listening')
    },
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const link of links) {
        link.isDead = true
        link.client.destroy()
        link.upstream.destroy()
      }
      resume()
      await closed
    },
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const settle = () => {
      socket.off('drain', settle).off('close', settle)
      resolve()
    }
    socket.on('drain', settle).on('close', settle)
  })
}
