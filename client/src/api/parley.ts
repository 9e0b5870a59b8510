import { createContext, useContext } from 'react'
import { createParleyClient, type ParleyClient } from '../../library/client.ts'
import type { Connection } from '../../library/connection.ts'
import type { Outbox } from '../../library/outbox.ts'
import { createStore, type Store } from '../../library/store.ts'
import { SendMessage } from '../message/operations.ts'
import { appendToDraft } from '../message/useDraft.ts'
import { createPresenceStore, type PresenceStore } from '../people/presenceStore.ts'
import { createDeltaStore, type DeltaStore } from '../stream/deltaStore.ts'
import { createCache } from './cache.ts'
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
  /** What the viewer is called now; they may change it. */
  viewerName: Store<string>
  client: ParleyClient
  connection: Connection
  deltas: DeltaStore
  presence: PresenceStore
  outbox: Outbox
  /** What screen readers are told, once. */
  announcement: Store<Announcement>
  close(): void
}

export function createParley(viewer: Viewer): Parley {
  const deltas = createDeltaStore()
  const presence = createPresenceStore()
  const client = createParleyClient({
    url: location.origin,
    exchanges: [createCache()],
    intercept: interceptEvents(deltas, presence),
    outbox: { document: SendMessage, owner: viewer.id },
  })
  const { connection, outbox } = client

  return {
    viewer,
    viewerName: createStore(viewer.name),
    client,
    connection,
    deltas,
    presence,
    outbox,
    announcement: createStore<Announcement>({ text: '' }),
    close() {
      // What was not sent by now never will be under this name.
      for (const { id, sessionId, content } of outbox.unsent.get()) {
        appendToDraft(sessionId, content)
        outbox.discard(id)
      }
      presence.close()
      client.close()
    },
  }
}

export const ParleyContext = createContext<Parley | undefined>(undefined)

export function useParley(): Parley {
  const parley = useContext(ParleyContext)
  if (!parley) throw new Error('useParley is for components inside a ParleyContext')
  return parley
}
