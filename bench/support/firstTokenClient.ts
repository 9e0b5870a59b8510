import { Agent, request } from 'node:http'
import { WebSocket } from 'ws'
import { answer } from './answer.ts'
import { micros } from './clock.ts'
import { followQuery } from '../peers/deltaApi.ts'

/** Takes the time from asking to the first token, the whole way: over HTTP in, over WebSocket or HTTP out. */
const agent = new Agent({ keepAlive: true })
const content = '[[tokens=2]]'
const waiting = new Map<string, { first: (at: number) => void; last: () => void }>()

function post(url: string, headers: object, body: object, onData?: (chunk: Buffer) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request(
      url,
      { method: 'POST', agent, headers: { 'content-type': 'application/json', ...headers } },
      (response) => {
        let text = ''
        response.on('data', (chunk: Buffer) => {
          onData?.(chunk)
          text += String(chunk)
        })
        response.once('end', () => resolve(text))
        response.once('error', reject)
      },
    )
    call.once('error', reject)
    call.end(JSON.stringify(body))
  })
}

function follow(url: string, token: string, sessionId: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, 'graphql-transport-ws')
    socket.once('error', reject)
    socket.once('open', () =>
      socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } })),
    )
    socket.on('message', (data: Buffer) => {
      const at = micros()
      const message = JSON.parse(data.toString()) as {
        type: string
        payload: { data: { sessionEvents: { __typename: string } } }
      }
      if (message.type === 'connection_ack') {
        const payload = { query: followQuery, variables: { sessionId } }
        return socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload }), () => resolve())
      }
      const kind = message.payload.data.sessionEvents.__typename
      if (kind === 'MessageDelta') waiting.get(sessionId)?.first(at)
      if (kind === 'GenerationEnded') waiting.get(sessionId)?.last()
    })
  })
}

const methods = {
  async follow({ url, token, sessions }: { url: string; token: string; sessions: string[] }): Promise<void> {
    for (const id of sessions) await follow(`${url.replace('http', 'ws')}/graphql`, token, id)
    await new Promise((resolve) => setTimeout(resolve, 500))
  },
  /** Milliseconds from the mutation to the first delta. Resolves once the generation has ended. */
  async ours({ url, token, sessionId }: { url: string; token: string; sessionId: string }): Promise<number> {
    const first = Promise.withResolvers<number>()
    const last = Promise.withResolvers<void>()
    waiting.set(sessionId, { first: first.resolve, last: last.resolve })
    const query = 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { __typename } }'
    const startedAt = micros()
    const variables = { input: { sessionId, content } }
    const reply = await post(`${url}/graphql`, { authorization: `Bearer ${token}` }, { query, variables })
    if (!reply.includes('SendMessageSuccess')) throw new Error(reply)
    const firstAt = await first.promise
    await last.promise
    return (firstAt - startedAt) / 1000
  },
  /** Milliseconds from the request to the first token in the proxy's stream. */
  async proxy({ url }: { url: string }): Promise<number> {
    let firstAt = 0
    const startedAt = micros()
    const body = { model: 'bench', stream: true, messages: [{ role: 'user', content }] }
    await post(`${url}/chat/completions`, {}, body, (chunk) => {
      if (firstAt === 0 && chunk.includes('"content":')) firstAt = micros()
    })
    if (firstAt === 0) throw new Error('the proxy gave no token')
    return (firstAt - startedAt) / 1000
  },
}
export type FirstTokenClient = typeof methods

answer('', methods)
