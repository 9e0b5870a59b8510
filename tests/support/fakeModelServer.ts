import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { readWords, type Behaviour } from './behaviour.ts'
import { createWheel } from './wheel.ts'

export interface FakeRequest {
  body: {
    model: string
    messages: { role: string; content: string }[]
    stream?: boolean
    [key: string]: unknown
  }
  headers: IncomingHttpHeaders
  /** Times in milliseconds since 1970, with fractions; comparable between processes of one machine. */
  receivedAt: number
  firstTokenAt: number | undefined
  /** When the response was over or its socket closed. */
  closedAt: number | undefined
  /** Whether the caller closed the connection before the answer was complete. */
  wasAborted: boolean
  /** Tokens that were written. */
  sent: number
  /** Resolves when `closedAt` is set. */
  closed: Promise<void>
}

type Script = Behaviour | ((request: FakeRequest) => Behaviour)

export interface FakeModelServerOptions {
  /** 0, the default, takes a free one. */
  port?: number
  /** What every request gets, unless a script or the message says otherwise. */
  behaviour?: Behaviour
  /** Entries of `GET /v1/models`. */
  models?: ModelsReply['models']
}

export interface ModelsReply {
  models: { id: string; [key: string]: unknown }[]
  /** An HTTP status other than 200. */
  status?: number
  hang?: boolean
  /** Times that it was asked. */
  asked: number
}

export interface FakeModelServer {
  /** Base URL of the API, ending in `/v1`. */
  readonly url: string
  readonly port: number
  /** Completions that were asked for, in order. */
  readonly requests: FakeRequest[]
  /** Responses under way. */
  readonly openStreams: number
  /** The answer to `GET /v1/models`; may be changed. */
  readonly modelsReply: ModelsReply
  /** Connections that were opened since the start. */
  readonly connections: number
  /** The request of this index, from 0, once it has arrived. */
  waitForRequest(index: number): Promise<FakeRequest>
  /** The same, once its response is over or its socket closed. */
  waitForClose(index: number): Promise<FakeRequest>
  /** A behaviour is for the next request that has none yet; a function is for all that have none, until replaced. */
  script(script: Script): void
  /** Cuts all connections and closes the port. */
  stop(): Promise<void>
}

const now = () => performance.timeOrigin + performance.now()

/** Token n, from 0: `"n:hash "`. What was lost, doubled or swapped can be told from the text alone. */
export function token(seed: string, n: number, unicode = false): string {
  // FNV-1a
  let hash = 0x811c9dc5
  for (const character of `${seed}:${n}`) hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193)
  return `${n}:${(hash >>> 0).toString(16).padStart(8, '0')}${unicode ? 'é漢😀' : ''} `
}

/** The first `count` tokens: the whole answer. */
export function text(seed: string, count: number, unicode = false): string {
  return Array.from({ length: count }, (_, n) => token(seed, n, unicode)).join('')
}

/** A model server on loopback that speaks OpenAI's chat completions, and fails as it is told to. */
export async function startFakeModelServer(options: FakeModelServerOptions = {}): Promise<FakeModelServer> {
  const requests: FakeRequest[] = []
  const queue: Behaviour[] = []
  let standing: ((request: FakeRequest) => Behaviour) | undefined
  const waiters = new Map<number, PromiseWithResolvers<FakeRequest>>()
  const callsOfMessage = new Map<string, number>()
  const sockets = new Set<Socket>()
  const wheel = createWheel(5)
  let openStreams = 0
  let connections = 0
  const modelsReply: ModelsReply = { models: options.models ?? [{ id: 'fake', context_length: 8192 }], asked: 0 }

  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://fake')
    const route = `${request.method} ${pathname}`
    if (route === 'GET /v1/models') return listModels(response)
    if (route === 'POST /v1/chat/completions') return void complete(request, response)
    sendJson(response, 404, { error: { message: `There is no ${route}.` } })
  })
  server.on('connection', (socket) => {
    connections += 1
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })

  function listModels(response: ServerResponse): void {
    modelsReply.asked += 1
    if (modelsReply.hang) return
    if (modelsReply.status) return sendJson(response, modelsReply.status, { error: { message: 'No list for you.' } })
    sendJson(response, 200, { object: 'list', data: modelsReply.models })
  }

  async function complete(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    let json = ''
    for await (const chunk of incoming.setEncoding('utf8')) json += chunk
    const request = record(JSON.parse(json) as FakeRequest['body'], incoming, response)
    const lastMessage = request.body.messages.findLast(({ role }) => role === 'user')?.content ?? ''
    const scripted = queue.shift() ?? standing?.(request)
    const behaviour = { ...options.behaviour, ...scripted, ...readWords(lastMessage) }

    const index = requests.push(request) - 1
    waiters.get(index)?.resolve(request)

    if (behaviour.hang) return
    if (behaviour.failures) {
      const calls = (callsOfMessage.get(lastMessage) ?? 0) + 1
      callsOfMessage.set(lastMessage, calls)
      if (calls <= behaviour.failures) return refuse(response, { status: 500, ...behaviour })
    } else if (behaviour.status) return refuse(response, behaviour)
    if (behaviour.json || request.body.stream === false) {
      const message = { role: 'assistant', content: text(behaviour.seed ?? 'seed', behaviour.tokens ?? 20) }
      const usage = usageOf(request, behaviour)
      return sendJson(response, 200, { choices: [{ index: 0, message, finish_reason: 'stop' }], usage })
    }
    writeStream(request, response, behaviour)
  }

  function record(body: FakeRequest['body'], incoming: IncomingMessage, response: ServerResponse): FakeRequest {
    const closed = Promise.withResolvers<void>()
    const request: FakeRequest = {
      body,
      headers: incoming.headers,
      receivedAt: now(),
      firstTokenAt: undefined,
      closedAt: undefined,
      wasAborted: false,
      sent: 0,
      closed: closed.promise,
    }
    openStreams += 1
    response.on('close', () => {
      openStreams -= 1
      request.closedAt = now()
      request.wasAborted = !response.writableEnded
      closed.resolve()
    })
    return request
  }

  /** Writes what is due at each turn of the wheel, or everything in slices that leave others their turn. */
  function writeStream(request: FakeRequest, response: ServerResponse, behaviour: Behaviour): void {
    const { tokens = 20, rate = 0, delay = 0, seed = 'seed', unicode = false, batch = 1, reasoning = 0 } = behaviour
    const stops = [
      behaviour.stall,
      behaviour.reset,
      behaviour.eof,
      behaviour.garbage,
      behaviour.error,
      behaviour.endless,
    ]
    const stopAt = Math.min(tokens, ...stops.map((stop) => stop ?? Infinity))
    const isCut = stops.some((stop) => stop !== undefined)
    const write = createWrite(response, behaviour.split)

    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' })
    response.flushHeaders()
    if (behaviour.comments) write(': OPENROUTER PROCESSING\n\n')
    if (behaviour.empty) {
      write('data: [DONE]\n\n')
      response.end()
      return
    }

    const end = () => {
      if (!isCut) return finish()
      if (behaviour.reset !== undefined) response.socket?.resetAndDestroy()
      else if (behaviour.eof !== undefined) response.end()
      else if (behaviour.endless !== undefined) writeEndless(response)
      else if (behaviour.error !== undefined) {
        write(event({ error: { message: 'The model ran out of memory.', code: 500 } }))
        response.end()
      } else if (behaviour.garbage !== undefined) {
        write('data: {"choices":[{"delta":{"cont\n\n')
        finish()
      }
    }
    const finish = () => {
      write(event({ choices: [{ index: 0, delta: {}, finish_reason: behaviour.finish ?? 'stop' }], usage: null }))
      const usage = usageOf(request, behaviour)
      if (usage) write(event({ choices: [], usage }))
      if (behaviour.linger) return
      write('data: [DONE]\n\n')
      response.end()
    }

    const startAt = request.receivedAt + delay
    const maxSlice = 256
    let thought = 0
    const stop = wheel.add(() => {
      if (response.destroyed) return stop()
      const elapsed = now() - startAt
      if (elapsed < 0 || response.writableNeedDrain) return
      for (; thought < reasoning; thought++) {
        write(event({ choices: [{ index: 0, delta: { reasoning: token(`${seed} thought`, thought) } }] }))
      }
      const due = rate === 0 ? request.sent + maxSlice : 1 + Math.floor((elapsed * rate) / 1000)
      const until = Math.min(stopAt, due)
      response.socket?.cork()
      while (request.sent < until) {
        let events = ''
        for (let n = 0; n < batch && request.sent < until; n++) {
          const content = token(seed, request.sent++, unicode)
          events += event({ choices: [{ index: 0, delta: { content }, finish_reason: null }] })
        }
        write(events)
        request.firstTokenAt ??= now()
      }
      response.socket?.uncork()
      if (request.sent < stopAt) return
      stop()
      end()
    })
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port ?? 0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo

  const waitForRequest = (index: number): Promise<FakeRequest> => {
    const request = requests[index]
    if (request) return Promise.resolve(request)
    const waiter = waiters.get(index) ?? Promise.withResolvers<FakeRequest>()
    waiters.set(index, waiter)
    return waiter.promise
  }

  return {
    url: `http://127.0.0.1:${port}/v1`,
    port,
    requests,
    modelsReply,
    get openStreams() {
      return openStreams
    },
    get connections() {
      return connections
    },
    waitForRequest,
    async waitForClose(index) {
      const request = await waitForRequest(index)
      await request.closed
      return request
    },
    script(script) {
      if (typeof script === 'function') standing = script
      else queue.push(script)
    },
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      wheel.stop()
      await closed
    },
  }
}

const event = (data: object) => `data: ${JSON.stringify({ object: 'chat.completion.chunk', ...data })}\n\n`

function sendJson(response: ServerResponse, status: number, body: object, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify(body))
}

function refuse(response: ServerResponse, { status = 500, body, retryAfter }: Behaviour): void {
  const headers: Record<string, string> = retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }
  if (body === undefined) return sendJson(response, status, { error: { message: `Status ${status}.` } }, headers)
  response.writeHead(status, { 'content-type': body.startsWith('{') ? 'application/json' : 'text/plain', ...headers })
  response.end(body)
}

function usageOf(request: FakeRequest, { usage = true, tokens = 20 }: Behaviour): object | undefined {
  if (!usage) return undefined
  const prompt = Math.ceil(request.body.messages.reduce((sum, { content }) => sum + content.length, 0) / 4)
  return { prompt_tokens: prompt, completion_tokens: tokens, total_tokens: prompt + tokens }
}

/** With `size`, in pieces of so many bytes, wherever that cuts. */
function createWrite(response: ServerResponse, size: number | undefined): (text: string) => void {
  if (!size) return (text) => void response.write(text)
  return (text) => {
    const bytes = Buffer.from(text)
    for (let start = 0; start < bytes.length; start += size) response.write(bytes.subarray(start, start + size))
  }
}

/** A line without an end, as fast as it is taken. */
function writeEndless(response: ServerResponse): void {
  const piece = 'x'.repeat(64 * 1024)
  response.write('data: "')
  const pump = () => {
    while (!response.destroyed && response.write(piece));
  }
  response.on('drain', pump)
  pump()
}
