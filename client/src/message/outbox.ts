import { createStore, type Store } from '../../library/store.ts'

/** Why a message could not be sent. */
export interface SendFailure {
  code: string
  message: string
}

/** A message of the viewer's that the server has not confirmed yet. */
export interface Unsent {
  id: string
  sessionId: string
  content: string
  parentId?: string | undefined
  createdAt: string
  /** Why the last try failed; undefined while one is under way. */
  failure?: SendFailure | undefined
}

/** What was sent and not yet confirmed, shown at once and kept with a way to try again. */
export interface Outbox {
  unsent: Store<readonly Unsent[]>
  /** Sends, or sends again under the same id, which the server stores and answers only once. */
  send(message: Unsent): Promise<void>
  /** Sends again what never reached the server. */
  resendUndelivered(): void
  discard(id: string): void
}

/** The code of a failure on the way to the server and back. */
export const undelivered = 'NETWORK'

export function createOutbox(deliver: (message: Unsent) => Promise<SendFailure | undefined>): Outbox {
  const unsent = createStore<readonly Unsent[]>([])
  const discard = (id: string) => unsent.set(unsent.get().filter((message) => message.id !== id))
  const put = (message: Unsent) => {
    const isKnown = unsent.get().some(({ id }) => id === message.id)
    unsent.set(
      isKnown ? unsent.get().map((old) => (old.id === message.id ? message : old)) : [...unsent.get(), message],
    )
  }

  async function send({ failure: _, ...message }: Unsent) {
    put(message)
    const failure = await deliver(message)
    if (failure) put({ ...message, failure })
    else discard(message.id)
  }

  return {
    unsent,
    send,
    discard,
    resendUndelivered() {
      for (const message of unsent.get()) if (message.failure?.code === undelivered) void send(message)
    },
  }
}
