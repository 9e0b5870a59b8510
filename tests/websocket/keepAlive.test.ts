import { EventEmitter } from 'node:events'
import { beforeEach, expect, it, onTestFinished, vi } from 'vitest'
import type { WebSocket } from 'ws'
import { KeepAlive } from '../../server/websocket/keepAlive.ts'
import type { SocketOutlet } from '../../server/websocket/outlet.ts'

const intervalMs = 12_000
/** A socket is pinged at the turn of its group, of which there are twelve in an interval. */
const turnMs = intervalMs / 12

let keepAlive: KeepAlive
beforeEach(() => {
  vi.useFakeTimers()
  keepAlive = new KeepAlive(intervalMs)
  onTestFinished(() => {
    keepAlive.stop()
    vi.useRealTimers()
  })
})

/** A peer that answers pings while it lives. */
class Peer extends EventEmitter {
  readonly OPEN = 1
  readyState = 1
  isAlive = true
  /** It has not taken all that was sent, which its outlet watches. */
  isBehind = false
  readonly pings: number[] = []
  terminatedAt: number | undefined
  readonly forget: () => void

  constructor() {
    super()
    const outlet: Pick<SocketOutlet, 'watch'> = { watch: () => this.isBehind }
    this.forget = keepAlive.add(this as unknown as WebSocket, outlet as SocketOutlet)
  }

  ping(): void {
    this.pings.push(Date.now())
    if (this.isAlive) this.emit('pong')
  }

  terminate(): void {
    this.terminatedAt = Date.now()
    this.readyState = 3
    this.forget()
  }
}

it('Each socket is pinged once in an interval, whenever it came, and stays while it answers', () => {
  const peers: Peer[] = []
  for (let n = 0; n < 30; n++) {
    peers.push(new Peer())
    vi.advanceTimersByTime(700)
  }
  const from = Date.now()
  vi.advanceTimersByTime(10 * intervalMs)
  for (const { pings, terminatedAt } of peers) {
    expect(pings.filter((time) => time > from)).toHaveLength(10)
    for (const [index, time] of pings.slice(1).entries()) expect(time - pings[index]!).toBe(intervalMs)
    expect(terminatedAt).toBeUndefined()
  }
  const atOnce = new Map<number, number>()
  for (const time of peers.flatMap(({ pings }) => pings)) atOnce.set(time, (atOnce.get(time) ?? 0) + 1)
  // not all in one burst
  expect(Math.max(...atOnce.values())).toBeLessThanOrEqual(4)
})

it('One that dies is ended between one and two intervals later, and gets a whole interval to answer', () => {
  for (let n = 0; n < 24; n++) {
    const peer = new Peer()
    vi.advanceTimersByTime(intervalMs + n * 500)
    peer.isAlive = false
    const diedAt = Date.now()
    vi.advanceTimersByTime(2 * intervalMs)
    const { pings } = peer
    expect(peer.terminatedAt! - diedAt).toBeGreaterThanOrEqual(intervalMs)
    expect(peer.terminatedAt! - diedAt).toBeLessThanOrEqual(2 * intervalMs)
    expect(peer.terminatedAt! - pings.at(-1)!).toBe(intervalMs)
  }
})

it('One that was dead from the start is ended within two intervals', () => {
  vi.advanceTimersByTime(5 * turnMs + 1)
  const peer = new Peer()
  peer.isAlive = false
  const since = Date.now()
  vi.advanceTimersByTime(2 * intervalMs)
  expect(peer.terminatedAt! - since).toBeGreaterThan(intervalMs)
})

it('One that answers late, but within the interval, stays', () => {
  const peer = new Peer()
  peer.isAlive = false
  for (let n = 0; n < 5; n++) {
    const { length } = peer.pings
    vi.advanceTimersByTime(intervalMs)
    expect(peer.pings).toHaveLength(length + 1)
    vi.advanceTimersByTime(peer.pings.at(-1)! + intervalMs - 1 - Date.now())
    peer.emit('pong')
  }
  expect(peer.terminatedAt).toBeUndefined()
})

it('One that is behind with reading is neither pinged nor ended: its outlet watches it', () => {
  const peer = new Peer()
  peer.isBehind = true
  peer.isAlive = false
  vi.advanceTimersByTime(5 * intervalMs)
  expect([peer.pings.length, peer.terminatedAt]).toEqual([0, undefined])
})

it('One that is being closed is not pinged any more, and one that was forgotten never', () => {
  const [closing, gone] = [new Peer(), new Peer()]
  closing.readyState = 2
  gone.forget()
  gone.forget()
  vi.advanceTimersByTime(5 * intervalMs)
  expect([closing.pings, gone.pings]).toEqual([[], []])
})

it('Sockets that come and go while their group is pinged are neither missed nor pinged twice', () => {
  const peers = [new Peer(), new Peer(), new Peer()] as const
  let late: Peer | undefined
  peers[0].on('pong', () => {
    peers[1].forget()
    late ??= new Peer()
  })
  vi.advanceTimersByTime(intervalMs)
  expect(peers.map(({ pings }) => pings.length)).toEqual([1, 0, 1])
  expect(late!.pings.length).toBeLessThanOrEqual(1)
  vi.advanceTimersByTime(intervalMs)
  expect(peers.map(({ pings }) => pings.length)).toEqual([2, 0, 2])
  const { length } = late!.pings
  vi.advanceTimersByTime(intervalMs)
  expect(late!.pings).toHaveLength(length + 1)
})

it('No timer is left once it is stopped', () => {
  new Peer()
  expect(vi.getTimerCount()).toBe(1)
  keepAlive.stop()
  expect(vi.getTimerCount()).toBe(0)
})
