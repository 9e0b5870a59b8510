import { useState } from 'react'
import { useParley } from '../api/parley.ts'
import { useStore } from '../api/useStore.ts'
import type { OpenSession } from '../session/SessionHeader.tsx'
import { Avatar } from './Avatar.tsx'
import { PeopleDialog } from './PeopleDialog.tsx'
import { withPresence } from './withPresence.ts'

/** Who is in the session, as a row of initials; opens the list. */
export function PeopleButton({ session, isOwner }: { session: OpenSession; isOwner: boolean }) {
  const { presence, viewer } = useParley()
  const [isOpen, setOpen] = useState(false)
  const people = withPresence(session, useStore(presence.online), viewer.id)
  const online = people.filter((person) => person.isOnline).length

  return (
    <>
      <button
        type="button"
        aria-label={`People: ${people.length}, ${online} here`}
        title={people.map(({ user, isOnline }) => `${user.name}${isOnline ? ' (here)' : ''}`).join('\n')}
        onClick={() => setOpen(true)}
        className="flex min-h-9 items-center rounded-lg px-2 hover:bg-hover"
      >
        <span className="flex gap-1">
          {people.slice(0, 4).map(({ user, isOnline }) => (
            <Avatar key={user.id} name={user.name} isOnline={isOnline} />
          ))}
        </span>
        {people.length > 4 && <span className="ml-1.5 text-xs text-muted">+{people.length - 4}</span>}
      </button>
      {isOpen && <PeopleDialog session={session} people={people} isOwner={isOwner} onClose={() => setOpen(false)} />}
    </>
  )
}
