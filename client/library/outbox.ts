import type { SendMessageInput } from '../gql/graphql.ts'
import { createPause, fullJitter } from './backoff.ts'
import { memoryStorage, type OutboxStorage } from './outboxStorage.ts'
import { createStore, type Store } from './store.ts'
import { uuidv7 } from './uuid.ts'

/** Why a message could not be sent: the server's code, or `undelivered`. */
export interface SendFailure {
  code: string
  message: string
}

/** The input of `sendMessage`; the outbox makes the id where none is given. */
export interface Outgoing extends SendMessageInput {
  /** ISO 8601; now where left out. */
  createdAt?: string
}

/** A message of the viewer's that the server has not confirmed yet. */
export interface Unsent extends SendMessageInput {
  id: string
  createdAt: string
  /** Why the last try failed. */
  failure?: SendFailure | undefined
}

/** What was written and not yet confirmed, kept until the server has it. */
export interface Outbox {
  /** In the order in which it was written. */
  unsent: Store<readonly Unsent[]>
  /**
   * Sends a message, or one that failed again under the same id, which the server stores and answers only once. While
   * the server can't be reached it is tried for ever; within a session one goes after the other. Gives undefined once the
   * server has it, and else why it was refused; a refused one stays in `unsent`.
   */
  send(message: Outgoing): Promise<SendFailure | undefined>
  /** Tries at once what waits for its next try. */
  resend(): void
  discard(id: string): void
  close(): void
}

/** The code of a failure on the way to the server and back. */
export const undelivered = 'NETWORK'

/** After these the same may work later without anyone doing anything. */
const passing = new Set([undelivered, 'INTERNAL'])

export interface OutboxOptions {
  storage?: OutboxStorage
  /** The first wait before another try is up to this long; it doubles with every failure, up to 20 s. Default 500. */
  retryWithinMs?: number | undefined
}

/** `deliver` sends once, and gives why it failed. */
export function createOutbox(
  deliver: (message: SendMessageInput) => Promise<SendFailure | undefined>,
  { storage = memoryStorage(), retryWithinMs = 500 }: OutboxOptions = {},
): Outbox {
  const unsent = createStore<readonly Unsent[]>([])
  const senders = new Map<string, (failure: SendFailure | undefined) => void>()
  /** Those that are being kept are not sent yet: a reload in between would forget what it had sent. */
  const beingKept = new Set<string>()
  const busySessions = new Set<string>()
  const pause = createPause()
  let isClosed = false

  const find = (id: string) => unsent.get().find((message) => message.id === id)
  const wait = (failures: number) => pause.wait(fullJitter(failures, { baseMs: retryWithinMs }))

  function put(message: Unsent) {
    unsent.set(
      find(message.id)
        ? unsent.get().map((old) => (old.id === message.id ? message : old))
        : [...unsent.get(), message],
    )
  }

  function settle(id: string, failure: SendFailure | undefined) {
    senders.get(id)?.(failure)
    senders.delete(id)
  }

  function discard(id: string, failure: SendFailure | undefined) {
    unsent.set(unsent.get().filter((message) => message.id !== id))
    storage.remove(id).catch(() => {})
    settle(id, failure)
  }

  async function sendAll(sessionId: string) {
    if (busySessions.has(sessionId)) return
    busySessions.add(sessionId)
    for (let failures = 0; !isClosed;) {
      const next = unsent.get().find((message) => message.sessionId === sessionId && isWaiting(message))
      if (!next || beingKept.has(next.id)) break
      const failure = await deliver(inputOf(next)).catch((error) => ({ code: undelivered, message: String(error) }))
      if (!failure) {
        failures = 0
        discard(next.id, undefined)
      } else if (find(next.id)) {
        const failed = { ...next, failure }
        put(failed)
        if (passing.has(failure.code)) {
          if (!isClosed) await wait(failures++)
        } else {
          failures = 0
          storage.put(failed).catch(() => {})
          settle(next.id, failure)
        }
      }
    }
    busySessions.delete(sessionId)
  }

  async function load() {
    for (let failures = 0; !isClosed; failures++) {
      try {
        const kept = (await storage.load()).filter(({ id }) => !find(id))
        if (isClosed || kept.length === 0) return
        // Whoever signs in again may send what was refused for want of that.
        unsent.set([
          ...kept.map((message) =>
            message.failure?.code === 'UNAUTHENTICATED' ? { ...message, failure: undefined } : message,
          ),
          ...unsent.get(),
        ])
        for (const sessionId of new Set(kept.map((message) => message.sessionId))) void sendAll(sessionId)
        return
      } catch {
        await wait(failures)
      }
    }
  }
  void load()

  return {
    unsent,
    async send(outgoing) {
      const message = unsentOf(outgoing)
      if (isClosed) return { code: 'CLOSED', message: 'The client was closed.' }
      const earlier = senders.get(message.id)
      const sent = new Promise<SendFailure | undefined>((resolve) =>
        senders.set(message.id, (failure) => {
          earlier?.(failure)
          resolve(failure)
        }),
      )
      put(message)
      beingKept.add(message.id)
      await storage.put(message).catch(() => {})
      beingKept.delete(message.id)
      // One that was discarded meanwhile may have been kept after it was removed.
      if (!find(message.id)) storage.remove(message.id).catch(() => {})
      // Whoever waits for the next try goes along with this one.
      pause.wake()
      void sendAll(message.sessionId)
      return sent
    },
    resend: () => pause.wake(),
    discard: (id) => discard(id, { code: 'DISCARDED', message: 'The message was discarded.' }),
    close() {
      isClosed = true
      pause.wake()
      for (const id of [...senders.keys()]) settle(id, { code: 'CLOSED', message: 'The client was closed.' })
    },
  }
}

function unsentOf({ failure: _, ...message }: Outgoing & Pick<Partial<Unsent>, 'failure'>): Unsent {
  return { ...message, id: message.id ?? uuidv7(), createdAt: message.createdAt ?? new Date().toISOString() }
}

function inputOf({ failure: _, createdAt: _at, ...input }: Unsent): SendMessageInput {
  return input
}

function isWaiting({ failure }: Unsent): boolean {
  return !failure || passing.has(failure.code)
}
