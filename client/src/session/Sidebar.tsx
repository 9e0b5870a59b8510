import { PanelLeftClose, Plus } from 'lucide-react'
import { useState } from 'react'
import { flushSync } from 'react-dom'
import { useLocation } from 'wouter'
import { useParley } from '../api/parley.ts'
import { useStore } from '../api/useStore.ts'
import { AccountDialog } from '../people/AccountDialog.tsx'
import { Button, IconButton } from '../ui/Button.tsx'
import { focusComposer, hasFinePointer } from '../ui/focus.ts'
import { SessionList } from './SessionList.tsx'
import { useSettled } from '../ui/useSettled.ts'

export function Sidebar({ onClose }: { onClose: () => void }) {
  const { viewerName } = useParley()
  const name = useStore(viewerName)
  const [isAccountOpen, setAccountOpen] = useState(false)
  const [, navigate] = useLocation()
  const [search, setSearch] = useState('')
  const title = useSettled(search.trim(), 200)
  const [isArchive, setArchive] = useState(false)

  return (
    <aside className="flex w-72 shrink-0 flex-col border-r border-line bg-side max-md:fixed max-md:inset-y-0 max-md:left-0 max-md:z-30 max-md:shadow-2xl">
      <div className="flex items-center justify-between px-4 pt-3 pb-2">
        <a
          href="/"
          className="flex items-center gap-2 rounded-md font-semibold"
          onClick={(event) => {
            event.preventDefault()
            navigate('/')
          }}
        >
          <img src="/favicon.svg" alt="" className="size-5" />
          Parley
        </a>
        <IconButton data-sidebar-toggle label="Hide the list of sessions" onClick={onClose} className="-mr-2">
          <PanelLeftClose aria-hidden className="size-5" />
        </IconButton>
      </div>
      <div className="px-3 pb-3">
        <Button
          className="w-full"
          aria-keyshortcuts="Control+Shift+O Meta+Shift+O"
          onClick={() => {
            flushSync(() => navigate('/'))
            if (hasFinePointer()) focusComposer()
          }}
        >
          <Plus aria-hidden className="size-4" />
          New session
        </Button>
      </div>
      <div className="px-3 pb-2">
        <input
          dir="auto"
          type="search"
          aria-label="Search sessions"
          aria-keyshortcuts="Control+K Meta+K"
          placeholder="Search"
          value={search}
          maxLength={500}
          onChange={(event) => setSearch(event.target.value)}
          className="h-9 w-full rounded-lg border border-line bg-transparent px-3 text-sm placeholder:text-muted"
        />
      </div>
      <SessionList isArchived={isArchive} title={title} />
      <div className="flex items-center justify-between gap-2 border-t border-line px-4 py-2 text-sm text-muted">
        <button
          type="button"
          aria-haspopup="dialog"
          aria-label={`Your account: ${name}`}
          title={`Signed in as ${name}`}
          onClick={() => setAccountOpen(true)}
          className="min-h-6 truncate rounded-md px-1 underline-offset-4 hover:text-ink hover:underline"
        >
          <bdi>{name}</bdi>
        </button>
        <button
          type="button"
          aria-pressed={isArchive}
          onClick={() => setArchive(!isArchive)}
          className="min-h-6 shrink-0 rounded-md px-1 underline-offset-4 hover:text-ink hover:underline"
        >
          {isArchive ? 'Back to sessions' : 'Archive'}
        </button>
      </div>
      {isAccountOpen && <AccountDialog onClose={() => setAccountOpen(false)} />}
    </aside>
  )
}
