import { openSocket, type GraphqlAnswer } from './clients.ts'

export const streams = ['SSE', 'WebSocket'] as const
export type StreamTransport = (typeof streams)[number]

/** A subscription, and everything that came of it so far. */
export interface Following {
  readonly raw: string
  /** Every result, with when it came by `performance.now()`. */
  readonly results: readonly { at: number; result: GraphqlAnswer }[]
  /** Whether the server has ended it, or its socket. */
  readonly isOver: boolean
  close(): Promise<void>
}

/** Subscribes over a connection of its own. */
export async function openFollowing(
  server: { url: string; port: number },
  transport: StreamTransport,
  { query, variables }: { query: string; variables: Record<string, unknown> },
  token: string,
): Promise<Following> {
  return transport === 'SSE'
    ? overEventStream(server, JSON.stringify({ query, variables }), token)
    : overSocket(server, query, variables, token)
}

async function overSocket(
  server: { port: number },
  query: string,
  variables: Record<string, unknown>,
  token: string,
): Promise<Following> {
  const socket = await openSocket(server, { token: token || null })
  const results: { at: number; result: GraphqlAnswer }[] = []
  let raw = ''
  let isOver = false
  socket.socket.on('message', (data) => {
    const text = String(data as Buffer)
    raw += `${text}\n`
    const { type, payload } = JSON.parse(text) as { type: string; payload: unknown }
    if (type === 'next') results.push({ at: performance.now(), result: payload as GraphqlAnswer })
    if (type === 'error') results.push({ at: performance.now(), result: { errors: payload } as GraphqlAnswer })
    if (type === 'complete' || type === 'error') isOver = true
  })
  void socket.closed.then(() => (isOver = true))
  socket.subscribe('1', query, variables)
  return {
    get raw() {
      return raw
    },
    results,
    get isOver() {
      return isOver
    },
    close: () => socket.close(),
  }
}

async function overEventStream({ url }: { url: string }, body: string, token: string): Promise<Following> {
  const controller = new AbortController()
  const headers = {
    'content-type': 'application/json',
    accept: 'text/event-stream',
    ...(token && { authorization: `Bearer ${token}` }),
  }
  const results: { at: number; result: GraphqlAnswer }[] = []
  let raw = ''
  let isOver = false
  const response = await fetch(`${url}/graphql`, { method: 'POST', headers, body, signal: controller.signal })
  const read = async (): Promise<void> => {
    let unread = ''
    for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
      raw += text
      const lines = (unread + text).split('\n')
      unread = lines.pop()!
      for (const line of lines) {
        if (line.startsWith('data: {'))
          results.push({ at: performance.now(), result: JSON.parse(line.slice(6)) as GraphqlAnswer })
        if (line === 'event: complete') isOver = true
      }
    }
  }
  const reading = read().catch(() => undefined)
  return {
    get raw() {
      return raw
    },
    results,
    get isOver() {
      return isOver
    },
    async close() {
      controller.abort()
      await reading
    },
  }
}
