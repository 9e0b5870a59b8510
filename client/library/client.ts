import { Client, fetchExchange, getOperationName, stringifyDocument, type Exchange } from '@urql/core'
import { createConnection, type Connection, type ConnectionOptions } from './connection.ts'
import { eventExchange } from './eventExchange.ts'
import { follow, type SubscribeOnce } from './resume.ts'

export interface ParleyClientOptions {
  /** Of the GraphQL endpoint, `http:` or `https:`. */
  url: string
  /** Of the WebSocket; default: `url` with `ws:` for `http:`. */
  webSocketUrl?: string
  /** Asked for on every request and every connect. */
  token?: () => string | undefined
  /** Run before the request leaves, e.g. a cache. */
  exchanges?: Exchange[]
  /**
   * Sees every event of a followed subscription first; what it returns true for goes no further. For those that come
   * often and need no cache, such as deltas.
   */
  intercept?: (event: Record<string, unknown>) => boolean
  /** More about the connection: pings, waits, and a `WebSocket` where the platform has none. */
  connection?: Omit<ConnectionOptions, 'url' | 'token'>
}

export interface ParleyClient {
  urql: Client
  connection: Connection
  close(): void
}

/** Subscriptions that have no end of their own; `messageDeltas` ends when its message is whole. */
const endless = new Set(['sessionEvents', 'viewerEvents', 'typing'])

/** A urql client whose `sessionEvents`, `viewerEvents` and `typing` survive lost connections; see `follow`. */
export function createParleyClient({
  url,
  webSocketUrl = url.replace(/^http/, 'ws'),
  token = () => undefined,
  exchanges = [],
  intercept = () => false,
  connection: options,
}: ParleyClientOptions): ParleyClient {
  const connection = createConnection({ ...options, url: webSocketUrl, token })
  const subscribeOnce: SubscribeOnce = (request, sink) => connection.client.subscribe(request, sink)

  const urql = new Client({
    url,
    preferGetMethod: false,
    fetchOptions: () => {
      const current = token()
      return current ? { headers: { authorization: `Bearer ${current}` } } : {}
    },
    exchanges: [
      ...exchanges,
      fetchExchange,
      eventExchange(({ query, variables }, sink) => {
        const request = {
          query: stringifyDocument(query),
          operationName: getOperationName(query),
          variables: { ...variables },
        }
        const sieve: typeof sink = {
          ...sink,
          next(result) {
            const event = result.data && Object.values(result.data)[0]
            if (!event || !intercept(event as Record<string, unknown>)) sink.next(result)
          },
        }
        return endless.has(rootField(query))
          ? follow(subscribeOnce, request, sieve, { wait: connection.wait })
          : subscribeOnce(request, sieve)
      }),
    ],
  })

  return { urql, connection, close: () => connection.close() }
}

function rootField(document: { definitions: readonly unknown[] }): string {
  const [operation] = document.definitions as {
    selectionSet?: { selections: { name?: { value: string } }[] }
  }[]
  return operation?.selectionSet?.selections.find(({ name }) => name?.value !== '__typename')?.name?.value ?? ''
}
