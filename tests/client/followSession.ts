import { gql } from '@urql/core'
import { onTestFinished } from 'vitest'
import { pipe, subscribe } from 'wonka'
import { createParleyClient, type ParleyClientOptions } from '../../client/library/index.ts'
import { startProxy, type Proxy } from '../support/proxy.ts'

// Without seq and __typename, which the library asks for itself.
const Follow = gql`
  subscription ($sessionId: ID!, $after: Int) {
    sessionEvents(sessionId: $sessionId, after: $after) {
      ... on MessageAdded {
        message {
          id
          role
        }
      }
      ... on MessageDelta {
        messageId
        offset
        text
      }
      ... on GenerationEnded {
        message {
          status
        }
      }
      ... on SessionUpdated {
        session {
          title
        }
      }
      ... on Resync {
        lastSeq
      }
    }
  }
`

export interface FollowedEvent {
  __typename: string
  seq: number | null
  message?: { id: string; role: string; status: string }
  messageId?: string
  offset?: number
  text?: string
  session?: { title: string }
  lastSeq?: number
}

/** A way to a server that can be cut. */
export async function proxied({ port }: { port: number }): Promise<Proxy & { url: string }> {
  const proxy = await startProxy({ port })
  onTestFinished(() => proxy.stop())
  return Object.assign(proxy, { url: `http://127.0.0.1:${proxy.port}` })
}

/** A client that ends with its test. */
export function open(options: ParleyClientOptions) {
  const client = createParleyClient({ ...options, connection: { retryWithinMs: 20, ...options.connection } })
  onTestFinished(() => client.close())
  return client
}

/** Follows a session; `until` resolves with the first event, past or coming, that meets the condition. */
export function follow(client: ReturnType<typeof open>, sessionId: string, after: number) {
  const events: FollowedEvent[] = []
  const waiting = new Set<() => void>()
  const ended = Promise.withResolvers<string>()
  const { unsubscribe } = pipe(
    client.subscription<{ sessionEvents: FollowedEvent }>(Follow, { sessionId, after }),
    subscribe(({ data, error, hasNext }) => {
      if (error && !hasNext) ended.resolve(String(error.graphQLErrors[0]?.extensions.code))
      if (data) events.push(data.sessionEvents)
      for (const look of waiting) look()
    }),
  )
  onTestFinished(unsubscribe)
  return {
    events,
    ended: ended.promise,
    until: (isWanted: (event: FollowedEvent) => boolean) =>
      new Promise<FollowedEvent>((resolve) => {
        const look = () => {
          const found = events.find(isWanted)
          if (found) resolve(found)
        }
        waiting.add(look)
        look()
      }),
  }
}
