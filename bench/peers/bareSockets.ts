import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { WebSocketServer } from 'ws'
import { answer } from '../support/answer.ts'

/** Bare `ws`: sockets that are open, have said hello, and hear nothing. */
const server = createServer()
const sockets = new WebSocketServer({ server, perMessageDeflate: false, handleProtocols: () => 'graphql-transport-ws' })
sockets.on('connection', (socket) => {
  socket.on('message', (data: Buffer) => {
    if (data.toString().includes('connection_init')) socket.send('{"type":"connection_ack"}')
  })
})
server.listen(0, '127.0.0.1', () => answer(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`, {}))
