import { Agent, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { answer } from '../support/answer.ts'

/** Passes a request on to the provider and pipes its stream back; it reads nothing of it and stores nothing. */
const provider = new URL(process.argv[2]!)
const agent = new Agent({ keepAlive: true, maxSockets: Infinity })

const server = createServer((incoming, response) => {
  const { method, headers } = incoming
  const path = provider.pathname + incoming.url
  const call = request(
    { hostname: provider.hostname, port: provider.port, path, method, headers, agent },
    (upstream) => {
      response.writeHead(upstream.statusCode!, upstream.headers)
      upstream.pipe(response)
    },
  )
  call.on('error', () => response.destroy())
  response.on('close', () => {
    if (!response.writableEnded) call.destroy()
  })
  incoming.pipe(call)
})
// a connection that is closed for idleness just as it is used again would be a failure that nobody asked about
server.keepAliveTimeout = 300_000
server.listen(0, '127.0.0.1', () => answer(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, {}))
