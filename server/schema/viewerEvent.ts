import type { ViewerEvent as Event } from '../resolvers/viewerEvents.ts'
import { builder } from './builder.ts'
import { Session } from './refs.ts'

type WithSession = Extract<Event, { kind: 'SessionListed' | 'SessionChanged' }>

const SessionListed = builder.objectRef<WithSession>('SessionListed').implement({
  description: "A session came to the viewer's list.",
  fields: (t) => ({
    session: t.expose('session', { type: Session, description: 'The session.' }),
  }),
})

const SessionChanged = builder.objectRef<WithSession>('SessionChanged').implement({
  description: "A session in the viewer's list changed, or something happened in it.",
  fields: (t) => ({
    session: t.expose('session', { type: Session, description: 'The session as it is now.' }),
  }),
})

const SessionUnlisted = builder.objectRef<Event>('SessionUnlisted').implement({
  description: "A session is no longer in the viewer's list: it was deleted, or they are no longer in it.",
  fields: (t) => ({
    sessionId: t.exposeID('sessionId', { description: 'The session.' }),
  }),
})

export const ViewerEvent = builder.unionType('ViewerEvent', {
  description: "What changes in the viewer's list of sessions, on any of their devices.",
  types: [SessionListed, SessionChanged, SessionUnlisted],
  resolveType: ({ kind }) => kind,
})
