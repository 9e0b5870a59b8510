import { createContext, useContext } from 'react'
import type { Client } from 'urql'
import { createParleyClient } from '../../library/client.ts'
import type { Connection } from '../../library/connection.ts'
import { createStore, type Store } from '../../library/store.ts'
import { SendMessage } from '../message/operations.ts'
import { appendToDraft } from '../message/useDraft.ts'
import { createOutbox, type Outbox } from '../message/outbox.ts'
import { createPresenceStore, type PresenceStore } from '../people/presenceStore.ts'
import { createDeltaStore, type DeltaStore } from '../stream/deltaStore.ts'
import { createCache } from './cache.ts'
import { outcomeOf } from './errors.ts'
import { interceptEvents } from './intercept.ts'

export interface Viewer {
  id: string
  name: string
}

export interface Announcement {
  text: string
  /** Failures interrupt what is being read; the rest waits for its turn. */
  isUrgent?: boolean
}

/** All that the signed-in page talks to; made anew for another viewer. */
export interface Parley {
  viewer: Viewer
  client: Client
  connection: Connection
  deltas: DeltaStore
  presence: PresenceStore
  outbox: Outbox
  /** What screen readers are told, once. */
  announcement: Store<Announcement>
  /** Wakes the connection when the machine or the page does; gives what ends that and the connection. */
  start(): () => void
}

export function createParley(viewer: Viewer, token: string): Parley {
  const deltas = createDeltaStore()
  const presence = createPresenceStore()
  const { urql, connection, close } = createParleyClient({
    url: new URL('/graphql', location.href).href,
    token: () => token,
    exchanges: [createCache()],
    intercept: interceptEvents(deltas, presence),
  })

  const outbox = createOutbox(async ({ id, sessionId, content, parentId }) => {
    const { data, error } = await urql.mutation(SendMessage, { input: { id, sessionId, content, parentId } })
    const outcome = outcomeOf(data?.sendMessage, error)
    return outcome.ok ? undefined : outcome
  })

  return {
    viewer,
    client: urql,
    connection,
    deltas,
    presence,
    outbox,
    announcement: createStore<Announcement>({ text: '' }),
    start() {
      const resend = connection.reconnects.subscribe(() => outbox.resendUndelivered())
      const wake = () => {
        if (!document.hidden) connection.wake()
      }
      window.addEventListener('online', wake)
      document.addEventListener('visibilitychange', wake)
      return () => {
        resend()
        window.removeEventListener('online', wake)
        document.removeEventListener('visibilitychange', wake)
        // What was not sent by now never will be under this name.
        for (const { sessionId, content } of outbox.unsent.get()) appendToDraft(sessionId, content)
        presence.close()
        close()
      }
    },
  }
}

export const ParleyContext = createContext<Parley | undefined>(undefined)

export function useParley(): Parley {
  const parley = useContext(ParleyContext)
  if (!parley) throw new Error('useParley is for components inside a ParleyContext')
  return parley
}
