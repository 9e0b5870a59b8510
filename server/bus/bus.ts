export type Unsubscribe = () => void

/**
 * Carries messages to whoever subscribed to a topic and key, on this node and on the others. It may lose messages
 * between nodes, so nothing may depend on it for more than speed; on one node it loses nothing and delivers at once.
 * `Topics` is the one map of what is sent under which name (server/topics.ts).
 */
export interface Bus<Topics> {
  /** False while messages do not reach other nodes. */
  readonly isUp: boolean
  /** Delivers on this node before it returns; handlers must not throw. */
  publish<T extends keyof Topics & string>(topic: T, key: string, message: Topics[T]): void
  /** Resolves once the subscription is live: what is published from then on arrives. */
  subscribe<T extends keyof Topics & string>(
    topic: T,
    key: string,
    handler: (message: Topics[T]) => void,
  ): Promise<Unsubscribe>
  close(): Promise<void>
}
