import { createParser, type EventSourceMessage } from 'eventsource-parser'

export interface StreamedEvent {
  event: string | undefined
  data: unknown
}

export interface EventStream {
  /** Resolves with the status once the headers are here. */
  opened: Promise<number>
  /** The next event; rejects where the stream ended before. */
  next(): Promise<StreamedEvent>
  /** All events up to the end. */
  rest(): Promise<StreamedEvent[]>
  cut(): void
}

export interface StreamRequest {
  method?: 'POST' | 'GET'
  token?: string | undefined
  headers?: Record<string, string>
  query: string
  variables?: Record<string, unknown>
}

/** A subscription by Server-Sent Events, read as a program would that has nothing but `fetch`. */
export async function openStream({ url }: { url: string }, request: StreamRequest): Promise<EventStream> {
  const { method = 'POST', token, headers = {}, query, variables = {} } = request
  const controller = new AbortController()
  const target = new URL(`${url}/graphql`)
  if (method === 'GET') {
    target.searchParams.set('query', query)
    target.searchParams.set('variables', JSON.stringify(variables))
  }
  const response = await fetch(target, {
    method,
    signal: controller.signal,
    headers: {
      accept: 'text/event-stream',
      ...(method === 'POST' ? { 'content-type': 'application/json' } : {}),
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...headers,
    },
    body: method === 'POST' ? JSON.stringify({ query, variables }) : null,
  })
  const type = response.headers.get('content-type') ?? ''
  if (!type.includes('text/event-stream')) {
    controller.abort()
    throw new Error(`Status ${response.status}, ${type}: no event stream.`)
  }
  // locked at once: undici cancels the body of a response that is garbage-collected before anybody reads it
  const events = readEvents(response.body!.pipeThrough(new TextDecoderStream() as never))
  return {
    opened: Promise.resolve(response.status),
    async next() {
      const { done, value } = await events.next()
      if (done) throw new Error('The stream has ended.')
      return value
    },
    async rest() {
      const all: StreamedEvent[] = []
      for await (const event of events) all.push(event)
      return all
    },
    cut: () => controller.abort(),
  }
}

async function* readEvents(text: ReadableStream<string>): AsyncGenerator<StreamedEvent> {
  const parsed: EventSourceMessage[] = []
  const parser = createParser({ onEvent: (event) => void parsed.push(event) })
  for await (const chunk of text) {
    parser.feed(chunk)
    for (const { event, data } of parsed.splice(0)) yield { event, data: data ? (JSON.parse(data) as unknown) : null }
  }
}
