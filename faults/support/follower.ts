import { createClient, type Client } from 'graphql-ws'
import { WebSocket } from 'ws'

export const followQuery = `subscription Follow($sessionId: ID!, $after: Int) {
  sessionEvents(sessionId: $sessionId, after: $after) {
    __typename seq
    ... on MessageDelta { messageId offset text }
    ... on GenerationStarted { generation { id } }
    ... on GenerationEnded { generation { id } message { id status content } }
    ... on Resync { lastSeq }
  }
}`

export interface FollowedEvent {
  __typename: string
  seq: number | null
  messageId?: string
  offset?: number
  text?: string
  generation?: { id: string }
  message?: { id: string; status: string; content: string }
}

export interface FollowerOptions {
  port: number
  token: string
  sessionId: string
  after?: number
  /** Between pings; a connection that answers none within the same time again is given up. */
  pingMs?: number
  /** The longest wait before it connects again. */
  retryWithinMs?: number
  onEvent?: (event: FollowedEvent) => void
}

/**
 * One who follows a session as PROTOCOL.md says, with the official client, and holds every event against the rules: what
 * was lost, doubled or swapped is counted, not mended.
 */
export class Follower {
  readonly sessionId: string
  cursor: number
  /** What the deltas of each message add up to. */
  readonly texts = new Map<string, string>()
  /** How each message's generation ended. */
  readonly endings = new Map<string, string>()
  /** Stored events that are no deltas, as `seq kind`. */
  readonly others: string[] = []
  deltas = 0
  /** Text that begins beyond, or before, the end of what came until then. */
  gaps = 0
  overlaps = 0
  /** Events whose `seq` is the last one's, or below it. */
  repeats = 0
  inversions = 0
  endedTwice = 0
  /** Ended answers whose deltas don't add up to their content. */
  differing = 0
  resyncs = 0
  /** How often it was connected. */
  connects = 0
  isConnected = false
  lastEventAt = 0
  /** Codes of what ended its subscription for good. */
  readonly refusals: string[] = []
  readonly closeCodes = new Map<number, number>()
  readonly #client: Client
  readonly #onEvent: ((event: FollowedEvent) => void) | undefined
  #isStopped = false
  #unsubscribe: () => void = () => undefined

  constructor({ port, token, sessionId, after = 0, pingMs = 0, retryWithinMs = 1_000, onEvent }: FollowerOptions) {
    this.sessionId = sessionId
    this.cursor = after
    this.#onEvent = onEvent
    let pongTimer: NodeJS.Timeout | undefined
    let socket: WebSocket | undefined
    // graphql-ws would still hear the old socket, should it come to life again, and take its pong for the new one's
    const giveUp = (): void => {
      this.#client.terminate()
      socket?.terminate()
    }
    this.#client = createClient({
      url: `ws://127.0.0.1:${port}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${token}` },
      keepAlive: pingMs,
      retryAttempts: Infinity,
      shouldRetry: () => true,
      retryWait: (failures) =>
        new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(retryWithinMs, 500 * 2 ** failures))),
      on: {
        opened: (opened) => (socket = opened as WebSocket),
        connected: () => {
          this.connects++
          this.isConnected = true
        },
        ping: (isReceived) => {
          if (!isReceived) pongTimer = setTimeout(giveUp, pingMs)
        },
        pong: () => clearTimeout(pongTimer),
        closed: (event) => {
          clearTimeout(pongTimer)
          this.isConnected = false
          const { code } = event as { code: number }
          this.closeCodes.set(code, (this.closeCodes.get(code) ?? 0) + 1)
        },
      },
    })
    this.#subscribe()
  }

  #subscribe(): void {
    const again = (): void => {
      if (!this.#isStopped) setTimeout(() => this.#isStopped || this.#subscribe(), 100)
    }
    const variables = { sessionId: this.sessionId } as { sessionId: string; after: number }
    // turned into JSON anew at every reconnect
    Object.defineProperty(variables, 'after', { enumerable: true, get: () => this.cursor })
    this.#unsubscribe = this.#client.subscribe<{ sessionEvents: FollowedEvent }>(
      { query: followQuery, variables: variables as unknown as Record<string, unknown> },
      {
        next: ({ data, errors }) => {
          if (data) return this.#take(data.sessionEvents)
          const code = String(errors?.[0]?.extensions?.code)
          if (['FORBIDDEN', 'NOT_FOUND', 'UNAUTHENTICATED', 'INVALID_INPUT'].includes(code)) {
            this.refusals.push(code)
            this.#isStopped = true
          }
        },
        error: again,
        complete: again,
      },
    )
  }

  #take(event: FollowedEvent): void {
    this.lastEventAt = performance.now()
    this.#onEvent?.(event)
    if (event.__typename === 'Resync') this.resyncs++
    if (event.seq === null) return
    if (event.seq === this.cursor) this.repeats++
    else if (event.seq < this.cursor) this.inversions++
    this.cursor = event.seq
    if (event.__typename === 'MessageDelta') this.#takeDelta(event)
    else {
      this.others.push(`${event.seq} ${event.__typename}`)
      if (event.message) this.#takeEnding(event.message)
    }
  }

  #takeDelta({ messageId, offset, text }: FollowedEvent): void {
    const before = this.texts.get(messageId!) ?? ''
    this.deltas++
    if (offset! > before.length) this.gaps++
    if (offset! < before.length) this.overlaps++
    this.texts.set(messageId!, before.slice(0, offset) + text!)
  }

  #takeEnding({ id, status, content }: { id: string; status: string; content: string }): void {
    if (this.endings.has(id)) this.endedTwice++
    this.endings.set(id, status)
    if ((this.texts.get(id) ?? '') !== content) this.differing++
    // the same text, without the many pieces that it was added up from
    else this.texts.set(id, content)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#unsubscribe()
    await this.#client.dispose()
  }
}

const sum = (followers: readonly Follower[], of: (follower: Follower) => number): number =>
  followers.reduce((total, follower) => total + of(follower), 0)

/** What must not happen to any follower. */
export function faultsOf(followers: readonly Follower[]): Record<string, number> {
  return {
    gaps: sum(followers, ({ gaps }) => gaps),
    repeats: sum(followers, ({ repeats, overlaps }) => repeats + overlaps),
    inversions: sum(followers, ({ inversions }) => inversions),
    'answers that differ from the stored ones': sum(followers, ({ differing }) => differing),
    'answers that ended twice': sum(followers, ({ endedTwice }) => endedTwice),
    'resyncs that nothing called for': sum(followers, ({ resyncs }) => resyncs),
    'followers sent away': sum(followers, ({ refusals }) => refusals.length),
  }
}

export const sumOf = sum
