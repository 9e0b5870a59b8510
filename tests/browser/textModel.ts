import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface TextModel {
  /** Base URL of the API, ending in `/v1`. */
  readonly url: string
  stop(): Promise<void>
}

/** A model server that answers `say 7` with the seventh of these texts, a few characters at a time. */
export async function startTextModel(texts: readonly string[]): Promise<TextModel> {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (request.method === 'GET') {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ object: 'list', data: [{ id: 'text', context_length: 1_000_000 }] }))
      return
    }
    let json = ''
    for await (const chunk of request.setEncoding('utf8')) json += chunk
    const { messages } = JSON.parse(json) as { messages: { role: string; content: string }[] }
    const asked = messages.findLast(({ role }) => role === 'user')!.content
    const characters = [...texts[Number(/^say (\d+)$/.exec(asked)![1])]!]
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const write = (choice: object): void => void response.write(`data: ${JSON.stringify({ choices: [choice] })}\n\n`)
    for (let start = 0; start < characters.length; start += 7) {
      write({ index: 0, delta: { content: characters.slice(start, start + 7).join('') } })
      // the page sees the text while it is not whole
      if (start % 140 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    write({ index: 0, delta: {}, finish_reason: 'stop' })
    response.end('data: [DONE]\n\n')
  }
  const server = createServer((request, response) => void answer(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    async stop() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
