import type { IncomingMessage, ServerResponse } from 'node:http'
import { GraphQLError } from 'graphql'
import { YogaServer, type YogaServerOptions } from 'graphql-yoga'
import type { Context } from '../context.ts'
import type { Logger } from '../logger.ts'
import { trailOf } from './trail.ts'
import type { RequestContext, Yoga } from './yoga.ts'

/** As much of the fetch API's Response as Yoga needs for an answer that is one text. */
class PlainResponse {
  readonly body: string | null
  readonly status: number
  readonly statusText: string | undefined
  readonly headers: Record<string, string>

  constructor(body: string | null, init: { status: number; statusText?: string; headers?: Record<string, string> }) {
    this.body = body
    this.status = init.status
    this.statusText = init.statusText
    this.headers = init.headers ?? {}
  }
}

/** As much of its Request as Yoga and our plugins look at. */
class PlainRequest {
  readonly method = 'POST'
  readonly url: string
  readonly headers: Pick<Headers, 'get' | 'has'>
  readonly json: () => Promise<unknown>

  constructor({ url, headers }: IncomingMessage, json: () => Promise<unknown>) {
    this.url = `http://${headers.host || 'localhost'}${url}`
    this.headers = {
      get: (name) => headers[name.toLowerCase()]?.toString() ?? null,
      has: (name) => name.toLowerCase() in headers,
    }
    this.json = json
  }
}

/** Answers a POST with JSON in it. Never rejects. */
export type AnswerPost = (request: IncomingMessage, response: ServerResponse, address: string) => Promise<void>

/**
 * Queries and mutations by the same Yoga without the streams, requests and responses of the fetch API, which cost more
 * than a small query does; what may be answered by a stream by the `yoga` that has them.
 */
export function createPlainPost(
  options: YogaServerOptions<RequestContext, Context>,
  yoga: Yoga,
  logger: Logger,
): AnswerPost {
  const maxBytes = options.maxRequestBodySize as number
  const plain = new YogaServer<RequestContext, Context>({
    ...options,
    fetchAPI: { Response: PlainResponse as unknown as typeof Response },
  })
  const handle = plain.handle as unknown as (request: PlainRequest, context: object) => Promise<PlainResponse>
  return async (request, response, address) => {
    const body = await readBody(request, maxBytes)
    const params = body === null ? Promise.reject(tooLarge()) : parse(body)
    // nobody asks for it where the other Yoga answers, and a rejection that nobody hears of would end the server
    params.catch(() => undefined)
    if (!takesJson(request) || (await mayStream(params))) {
      // Yoga looks there for a body that was read already; one that is too long it is to refuse for its length
      Object.assign(request, { body: body ?? ' '.repeat(maxBytes + 1) })
      return void (yoga as unknown as RequestListenerWith)(request, response, { address })
    }
    try {
      const answer = await handle(new PlainRequest(request, () => params), { req: request, res: response, address })
      if (response.destroyed) return
      const headers = { ...answer.headers, 'content-length': Buffer.byteLength(answer.body ?? '') }
      response.writeHead(answer.status, answer.statusText, headers)
      response.end(answer.body)
    } catch (error) {
      logger.error('a request could not be answered', { error, requestId: trailOf(request).requestId })
      response.destroy()
    }
  }
}

export type RequestListenerWith = (
  request: IncomingMessage,
  response: ServerResponse,
  context: RequestContext,
) => unknown

/** How much more than may be sent is read and dropped. */
const patience = 16

/** The text of a body; null where it is too long. Never settles where the client goes away before its end. */
function readBody(request: IncomingMessage, maxBytes: number): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>()
  const chunks: Buffer[] = []
  let bytes = 0
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes <= maxBytes) return void chunks.push(chunk)
    chunks.length = 0
    resolve(null)
    // one that is cut while it still sends would not read the answer
    if (bytes > patience * maxBytes) request.destroy()
  })
  request.on('end', () => resolve(chunks.length === 1 ? chunks[0]!.toString() : Buffer.concat(chunks).toString()))
  return promise
}

const parse = async (text: string): Promise<unknown> => JSON.parse(text)

const tooLarge = (): GraphQLError =>
  new GraphQLError('Request body too large', {
    extensions: { code: 'REQUEST_ENTITY_TOO_LARGE', http: { status: 413 } },
  })

const jsonAccepted =
  /(?:^|,)\s*(?:\*\/\*|application\/(?:\*|json|graphql-response\+json))\s*(?:;\s*q=[\d.]+\s*)?(?:,|$)/

/**
 * Whether the client takes an answer that is one text: then it gets one, also where it takes a stream besides. Not all
 * that Yoga takes for JSON is known here; the rest is answered by the `yoga` that can do both.
 */
const takesJson = ({ headers: { accept } }: IncomingMessage): boolean => !accept || jsonAccepted.test(accept)

/** True for what holds a subscription, or an operation whose text is not here. */
async function mayStream(params: Promise<unknown>): Promise<boolean> {
  const body = await params.catch(() => null)
  // no operation
  if (body === null) return false
  const { query } = body as { query?: unknown }
  return typeof query !== 'string' || query === '' || query.includes('subscription')
}
