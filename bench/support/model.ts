import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { answer } from './answer.ts'
import { micros, pause } from './clock.ts'
import { token } from './tokens.ts'

/**
 * A model's server that speaks OpenAI's chat completions and whose tokens tell when they were made. The last message of
 * the user says what is wanted: `[[from=0 tokens=100 rate=50]]`. With `phase` an answer is held until it is told to go, and
 * its first token is due so many microseconds later: many that were asked for one by one then run at the same time.
 */
interface Stream {
  response: ServerResponse
  next: number
  until: number
  startAt: number
  from: number
  microsPerToken: number
}

const streams = new Set<Stream>()
const held: { stream: Stream; phase: number }[] = []
const turnMs = 2
let timer: NodeJS.Timeout | undefined

const chunk = (delta: object, finish: string | null = null): string =>
  `data: ${JSON.stringify({
    id: 'chatcmpl-bench',
    object: 'chat.completion.chunk',
    created: 0,
    model: 'bench',
    choices: [{ index: 0, delta, finish_reason: finish }],
  })}\n\n`
const [before, after] = chunk({ content: '?' }).split('?') as [string, string]
const ending =
  chunk({}, 'stop') +
  `data: ${JSON.stringify({ choices: [], usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } })}\n\n` +
  'data: [DONE]\n\n'

function turn(): void {
  for (const stream of streams) write(stream)
  if (streams.size > 0) return
  clearInterval(timer)
  timer = undefined
}

function write(stream: Stream): void {
  const { response, startAt, from, microsPerToken } = stream
  if (response.destroyed) return void streams.delete(stream)
  const elapsed = micros() - startAt
  if (elapsed < 0) return
  const due = Math.min(stream.until, from + 1 + Math.floor(elapsed / microsPerToken))
  // one event a write, as servers send them: what comes together must not be cheaper than it is
  while (stream.next < due) response.write(before + token(stream.next++) + after)
  if (stream.next < stream.until) return
  streams.delete(stream)
  response.end(ending)
}

function run(stream: Stream): void {
  streams.add(stream)
  write(stream)
  timer ??= setInterval(turn, turnMs)
}

const methods = {
  /** Waits until so many answers are held, then lets them go. */
  async go({ count }: { count: number }): Promise<void> {
    const until = performance.now() + 60_000
    while (held.length < count) {
      if (performance.now() > until)
        throw new Error(`only ${held.length} of ${count} generations have asked for an answer`)
      await pause(5)
    }
    const now = micros()
    for (const { stream, phase } of held.splice(0)) run({ ...stream, startAt: now + phase })
  },
}
export type Model = typeof methods

const server = createServer((request, response) => {
  if (request.url?.endsWith('/models')) {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ object: 'list', data: [{ id: 'bench', context_length: 1_000_000 }] }))
    return
  }
  let json = ''
  request.setEncoding('utf8')
  request.on('data', (text: string) => (json += text))
  request.on('end', () => {
    const { messages } = JSON.parse(json) as { messages: { role: string; content: string }[] }
    const words = messages.findLast(({ role }) => role === 'user')!.content
    const wish = (name: string) => Number(new RegExp(`\\b${name}=(\\d+)`).exec(words)?.[1] ?? 0)
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
    response.flushHeaders()
    response.socket?.setNoDelay(true)
    const from = wish('from')
    const stream = {
      response,
      from,
      next: from,
      until: from + wish('tokens'),
      startAt: micros(),
      microsPerToken: 1e6 / (wish('rate') || 1e6),
    }
    if (words.includes('phase=')) held.push({ stream, phase: wish('phase') })
    else run(stream)
  })
})
// a connection that is closed for idleness just as it is used again would be a failure that nobody asked about
server.keepAliveTimeout = 300_000
server.listen(0, '127.0.0.1', () => answer(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, methods))
