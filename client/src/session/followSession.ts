import type { CombinedError } from 'urql'
import { pipe, subscribe } from 'wonka'
import { codeOf } from '../api/errors.ts'
import type { Parley } from '../api/parley.ts'
import type { SessionEvent } from '../api/sessionUpdates.ts'
import { SessionEvents, SessionPage } from './operations.ts'

/** Why there is nothing to follow any more. */
export type Gone = 'deleted' | 'unreadable' | 'signedOut'

export interface FollowHandlers {
  onEvent?: (event: SessionEvent) => void
  onGone: (reason: Gone) => void
  /** The page could not be read; another try is on its way. */
  onTrouble?: (isTrouble: boolean) => void
}

/**
 * Reads a session into the cache, then follows its log from the `seq` that was read with it, until stopped or gone.
 * Nothing is missed between the two and nothing comes twice.
 */
export function followSession(parley: Parley, sessionId: string, handlers: FollowHandlers): () => void {
  const { client, connection, deltas, presence } = parley
  let isStopped = false
  let unsubscribe = () => {}

  function gone(reason: Gone) {
    if (isStopped) return
    stop()
    handlers.onGone(reason)
  }

  async function read(): Promise<number | undefined> {
    for (let failures = 0; !isStopped; failures++) {
      const variables = { id: sessionId }
      const { data, error } = await client.query(SessionPage, variables, { requestPolicy: 'network-only' })
      if (isStopped) return undefined
      if (data?.session) {
        handlers.onTrouble?.(false)
        return data.session.lastSeq
      }
      const reason = goneBecause(error)
      if (reason) {
        gone(reason)
        return undefined
      }
      handlers.onTrouble?.(true)
      await connection.wait(failures)
    }
    return undefined
  }

  // What was followed so far is stopped first: a read that is overtaken by later events would put old statuses back.
  function readAgain() {
    unsubscribe()
    void start()
  }

  async function start() {
    const lastSeq = await read()
    if (lastSeq === undefined) return
    const events = client.subscription(SessionEvents, { sessionId, after: lastSeq })
    const subscription = pipe(
      events,
      subscribe(({ data, error, hasNext }) => {
        if (isStopped) return
        if (error && !hasNext) return gone(codeOf(error) === 'UNAUTHENTICATED' ? 'signedOut' : 'unreadable')
        const event = data?.sessionEvents
        // No event: one could not be shown, and what it changed is only to be read.
        if (!event || event.__typename === 'Resync') return readAgain()
        if (event.__typename === 'SessionDeleted') return gone('deleted')
        handlers.onEvent?.(event)
      }),
    )
    unsubscribe = () => subscription.unsubscribe()
  }

  function stop() {
    isStopped = true
    unsubscribe()
    deltas.clear()
    presence.forget(sessionId)
  }

  void start()
  return stop
}

/** Why a session can't be read; undefined where trying again may help. */
function goneBecause(error: CombinedError | undefined): Gone | undefined {
  const code = codeOf(error)
  if (code === 'UNAUTHENTICATED') return 'signedOut'
  return !error || code === 'NOT_FOUND' || code === 'FORBIDDEN' ? 'unreadable' : undefined
}
