import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocketServer, type WebSocket } from 'ws'
import { answer } from '../support/answer.ts'
import { tick, type Ticks } from '../support/ticker.ts'
import { delta } from './deltaApi.ts'

/** The floor: `ws.send` of one string that is made once a token, to all sockets of a topic. It speaks the protocol's first words. */
const followers = new Map<string, Set<WebSocket>>()
const server = createServer()
const sockets = new WebSocketServer({ server, perMessageDeflate: false, handleProtocols: () => 'graphql-transport-ws' })
sockets.on('connection', (socket) => {
  socket.on('message', (data: Buffer) => {
    const message = JSON.parse(data.toString()) as { type: string; payload?: { variables: { sessionId: string } } }
    if (message.type === 'connection_init') socket.send('{"type":"connection_ack"}')
    if (message.type !== 'subscribe') return
    const topic = message.payload!.variables.sessionId
    const group = followers.get(topic) ?? new Set()
    followers.set(topic, group.add(socket))
    socket.once('close', () => group.delete(socket))
  })
})

function publish(topic: string, n: number, text: string): void {
  const { __typename, seq, messageId, offset } = delta(topic, n, text)
  const sessionEvents = { __typename, seq, messageId, offset, text }
  const frame = `{"id":"1","type":"next","payload":${JSON.stringify({ data: { sessionEvents } })}}`
  for (const socket of followers.get(topic) ?? []) socket.send(frame)
}

const methods = { start: (ticks: Ticks) => tick(ticks, publish) }
export type FanOutPeer = typeof methods

server.listen(0, '127.0.0.1', () => answer(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`, methods))
