import { Archive, ArchiveRestore, Ellipsis, Pencil, Trash2, UserPlus } from 'lucide-react'
import { useState } from 'react'
import type { ParticipantRole, SessionPageQuery } from '../../gql/graphql.ts'
import { outcomeOf } from '../api/errors.ts'
import { useParley } from '../api/parley.ts'
import { InviteDialog } from '../people/InviteDialog.tsx'
import { PeopleButton } from '../people/PeopleButton.tsx'
import { Button, IconButton } from '../ui/Button.tsx'
import { ConnectionBadge } from '../ui/ConnectionBadge.tsx'
import { SidebarButton } from '../ui/Frame.tsx'
import { DeleteDialog } from './DeleteDialog.tsx'
import { ModelPicker } from './ModelPicker.tsx'
import { UpdateSession } from './operations.ts'
import { RenameDialog } from './RenameDialog.tsx'

export type OpenSession = NonNullable<SessionPageQuery['session']>

export function SessionHeader({ session, role }: { session: OpenSession; role: ParticipantRole | undefined }) {
  const [dialog, setDialog] = useState<'invite' | 'rename' | 'delete'>()
  const [isMenuOpen, setMenuOpen] = useState(false)
  const [failure, setFailure] = useState<string>()
  const { client } = useParley()
  const isOwner = role === 'OWNER'
  const close = () => setDialog(undefined)

  async function setArchived(isArchived: boolean) {
    const { data, error } = await client.mutation(UpdateSession, { input: { sessionId: session.id, isArchived } })
    const outcome = outcomeOf(data?.updateSession, error)
    setFailure(outcome.ok ? undefined : outcome.message)
  }

  return (
    <header className="shrink-0 border-b border-line">
      <div className="flex min-h-14 flex-wrap items-center gap-x-1 gap-y-1 px-3 py-1.5">
        <SidebarButton />
        <h1 dir="auto" className="mr-2 min-w-0 flex-1 truncate px-1 font-semibold" title={session.title}>
          {session.title || 'New session'}
        </h1>
        <span className="px-2">
          <ConnectionBadge />
        </span>
        <PeopleButton session={session} isOwner={isOwner} />
        {isOwner && (
          <Button onClick={() => setDialog('invite')}>
            <UserPlus aria-hidden className="size-4" />
            <span className="max-sm:sr-only">Invite</span>
          </Button>
        )}
        <IconButton
          label="More"
          aria-expanded={isMenuOpen}
          onClick={() => setMenuOpen(!isMenuOpen)}
          className="md:hidden"
        >
          <Ellipsis aria-hidden className="size-5" />
        </IconButton>
        <div className={`items-center gap-1 ${isMenuOpen ? 'flex max-md:w-full' : 'hidden md:flex'}`}>
          <ModelPicker session={session} isDisabled={!isOwner} onFailure={setFailure} />
          {isOwner && (
            <>
              <IconButton label="Rename" onClick={() => setDialog('rename')}>
                <Pencil aria-hidden className="size-4" />
              </IconButton>
              <IconButton
                label={session.isArchived ? 'Take out of the archive' : 'Archive session'}
                onClick={() => void setArchived(!session.isArchived)}
              >
                {session.isArchived ? (
                  <ArchiveRestore aria-hidden className="size-4" />
                ) : (
                  <Archive aria-hidden className="size-4" />
                )}
              </IconButton>
              <IconButton label="Delete" onClick={() => setDialog('delete')}>
                <Trash2 aria-hidden className="size-4" />
              </IconButton>
            </>
          )}
        </div>
      </div>
      {failure && (
        <p role="alert" className="px-4 pb-2 text-sm text-danger">
          {failure}
        </p>
      )}
      {dialog === 'invite' && <InviteDialog sessionId={session.id} onClose={close} />}
      {dialog === 'rename' && <RenameDialog session={session} onClose={close} />}
      {dialog === 'delete' && <DeleteDialog session={session} onClose={close} />}
    </header>
  )
}
