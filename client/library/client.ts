import {
  Client,
  fetchExchange,
  getOperationName,
  stringifyDocument,
  type CombinedError,
  type Exchange,
  type DocumentInput,
} from '@urql/core'
import type { ExecutionResult } from 'graphql-ws'
import type { SendMessageInput } from '../gql/graphql.ts'
import { createConnection, type Connection, type ConnectionOptions } from './connection.ts'
import { eventExchange } from './eventExchange.ts'
import { fetchWithToken } from './fetchWithToken.ts'
import { hasIndexedDb, indexedDbStorage } from './indexedDbStorage.ts'
import { createOutbox, undelivered, type Outbox, type SendFailure } from './outbox.ts'
import { memoryStorage, type OutboxStorage } from './outboxStorage.ts'
import { rootField, withPosition } from './position.ts'
import { follow, type Resync, type ResyncResult, type SubscribeOnce } from './resume.ts'
import { createTokens, RefusedToken, subjectOf, type TokenSource } from './tokens.ts'
import { wakeWithPage } from './wakeWithPage.ts'

export interface ParleyClientOptions {
  /** Of the server or its GraphQL endpoint, `http:` or `https:`; without a path it is `/graphql`. */
  url: string
  /** Of the WebSocket; default: `url` with `ws:` for `http:`. */
  webSocketUrl?: string
  /**
   * The viewer's token, or a function that gives one, asked when one is first needed and again whenever the server
   * refused the last. Where it has none but the one that was refused, or none at all, what needs it ends with
   * UNAUTHENTICATED; where it throws, it is asked again after a pause. On the server's own pages none is needed where the
   * browser keeps it in the server's cookie.
   */
  token?: TokenSource
  /** Run before the request leaves, e.g. a cache. */
  exchanges?: Exchange[]
  /**
   * Sees every event of a followed subscription first; what it returns true for goes no further. For those that come
   * often and need no cache, such as deltas.
   */
  intercept?: (event: Record<string, unknown>) => boolean
  /**
   * Where the position of a `sessionEvents` was none in its log: reads the session again and gives the `lastSeq` that was
   * read with it. What comes later waits for that. The `Resync` itself is shown to the subscription in any case, which
   * without this goes on behind the `lastSeq` of the `Resync`.
   */
  onResync?: (resync: Resync) => ResyncResult
  /** More about the outbox. */
  outbox?: {
    /** Default: IndexedDB where there is one, under `owner`; else memory. */
    storage?: OutboxStorage
    /** Whose it is. Default: the token's subject; without a token the server is asked for the viewer. */
    owner?: string
    /** A `sendMessage` that takes `$input` and selects `... on Error { code message }`, for what a cache shall know. */
    document?: DocumentInput
  }
  /** More about the connection: pings, waits, and a `WebSocket` where the platform has none. */
  connection?: Omit<ConnectionOptions, 'url' | 'tokens'>
}

export interface ParleyClient extends Client {
  connection: Connection
  outbox: Outbox
  close(): void
}

/** Subscriptions that have no end of their own; `messageDeltas` ends when its message is whole. */
const endless = new Set(['sessionEvents', 'viewerEvents', 'typing'])

const sendMessage = /* GraphQL */ `
  mutation DeliverMessage($input: SendMessageInput!) {
    sendMessage(input: $input) {
      __typename
      ... on Error {
        code
        message
      }
    }
  }
`

const whoAmI = /* GraphQL */ `
  query WhoAmI {
    viewer {
      id
    }
  }
`

/**
 * A urql client whose `sessionEvents`, `viewerEvents` and `typing` survive lost connections (see `follow`), with an
 * outbox. It takes up lost connections at once when the page is seen again or the machine comes online. `close` ends it.
 */
export function createParleyClient({
  url,
  webSocketUrl,
  token,
  exchanges = [],
  intercept = () => false,
  onResync,
  outbox: { storage, owner, document = sendMessage } = {},
  connection: options,
}: ParleyClientOptions): ParleyClient {
  const endpoint = endpointOf(url)
  const tokens = createTokens(token)
  const connection = createConnection({ ...options, url: webSocketUrl ?? endpoint.replace(/^http/, 'ws'), tokens })

  const subscribeOnce: SubscribeOnce = (request, sink) =>
    connection.client.subscribe(request, {
      next: (result) => sink.next(result as ExecutionResult),
      complete: () => sink.complete(),
      error: (error) => sink.error(error instanceof RefusedToken ? [error] : error),
    })

  async function renew() {
    const refused = connection.token
    tokens.refuse(refused)
    try {
      const next = await tokens.get()
      if (next === undefined || next === refused) return false
    } catch (error) {
      if (error instanceof RefusedToken) return false
      throw error
    }
    connection.restart()
    return true
  }

  const urql = new Client({
    url: endpoint,
    preferGetMethod: false,
    fetch: fetchWithToken(tokens),
    exchanges: [
      ...exchanges,
      fetchExchange,
      eventExchange(({ query, variables }, sink) => {
        const field = rootField(query)
        const request = {
          query: stringifyDocument(field === 'sessionEvents' ? withPosition(query) : query),
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
        return endless.has(field)
          ? follow(subscribeOnce, request, sieve, { wait: connection.wait, onResync, renew })
          : subscribeOnce(request, sieve)
      }),
    ],
  })

  async function deliver(input: SendMessageInput): Promise<SendFailure | undefined> {
    const { data, error } = await urql.mutation<Record<string, object>>(document, { input })
    const [member] = Object.values(data ?? {}).filter((value) => typeof value === 'object')
    if (member) return 'code' in member ? (member as SendFailure) : undefined
    return error ? failureOf(error) : { code: 'INTERNAL', message: 'The server gave no answer.' }
  }

  let viewerId: string | undefined
  async function ownerOfOutbox(): Promise<string> {
    if (owner !== undefined) return owner
    const shown = await tokens.get()
    if (shown !== undefined) return subjectOf(shown) ?? ''
    // what one person wrote must not be sent by the next who uses this browser
    if (viewerId === undefined) {
      const { data, error } = await urql.query<{ viewer: { id: string } | null }>(whoAmI, {})
      if (error) throw error
      viewerId = data?.viewer?.id
    }
    return viewerId ?? ''
  }

  const outbox = createOutbox(deliver, {
    storage:
      storage ??
      (hasIndexedDb() ? indexedDbStorage(async () => `parley ${endpoint} ${await ownerOfOutbox()}`) : memoryStorage()),
    retryWithinMs: options?.retryWithinMs,
  })
  const stopResending = connection.reconnects.subscribe(() => outbox.resend())
  const stopWaking = wakeWithPage(() => {
    connection.wake()
    outbox.resend()
  })

  return Object.assign(urql, {
    connection,
    outbox,
    close() {
      stopWaking()
      stopResending()
      outbox.close()
      connection.close()
    },
  })
}

function endpointOf(url: string): string {
  const { href, origin, pathname } = new URL(url)
  return pathname === '/' ? `${origin}/graphql` : href
}

function failureOf({ networkError, graphQLErrors, response, message }: CombinedError): SendFailure {
  const [error] = graphQLErrors
  const code = error?.extensions.code
  if (error) return { code: typeof code === 'string' ? code : 'INTERNAL', message: error.message }
  const status = (response as Response | undefined)?.status ?? 0
  // A proxy's refusal of this very request, not of any at this moment.
  const isRefused = status >= 400 && status < 500 && status !== 408 && status !== 429
  return { code: isRefused ? `HTTP_${status}` : undelivered, message: networkError?.message ?? message }
}
