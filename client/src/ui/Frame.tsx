import { PanelLeft } from 'lucide-react'
import { createContext, useContext, useState, type ReactNode } from 'react'
import { flushSync } from 'react-dom'
import { useLocation } from 'wouter'
import { Sidebar } from '../session/Sidebar.tsx'
import { IconButton } from './Button.tsx'
import { ReconnectBanner } from './ReconnectBanner.tsx'
import { focusComposer } from './focus.ts'
import { useShortcuts } from './useShortcuts.ts'

const wide = '(min-width: 48rem)'
const key = 'parley.sidebar'

const SidebarContext = createContext<{ isOpen: boolean; toggle: () => void }>({ isOpen: true, toggle: () => {} })

/** The sidebar beside the page; on a narrow screen it lies over it, until something is picked. */
export function Frame({ notice, children }: { notice?: ReactNode; children: ReactNode }) {
  const [isOpen, setOpen] = useState(() => matchMedia(wide).matches && localStorage.getItem(key) !== 'closed')
  const [path, navigate] = useLocation()
  useShortcuts({
    onSearch() {
      flushSync(() => setOpen(true))
      document.querySelector<HTMLElement>('input[type=search]')?.focus()
    },
    onNew() {
      flushSync(() => navigate('/'))
      focusComposer()
    },
  })

  const [shownPath, setShownPath] = useState(path)
  if (path !== shownPath) {
    setShownPath(path)
    if (!matchMedia(wide).matches) setOpen(false)
  }

  const toggle = () => {
    flushSync(() => setOpen(!isOpen))
    // the button that was pressed is gone
    document.querySelector<HTMLElement>('[data-sidebar-toggle]')?.focus()
    if (matchMedia(wide).matches) localStorage.setItem(key, isOpen ? 'closed' : 'open')
  }

  return (
    <SidebarContext value={{ isOpen, toggle }}>
      <div className="flex h-dvh overflow-hidden">
        {isOpen && (
          <>
            <button
              type="button"
              aria-label="Close the list of sessions"
              onClick={toggle}
              className="fixed inset-0 z-20 bg-black/40 md:hidden"
            />
            <Sidebar onClose={toggle} />
          </>
        )}
        <div className="flex min-w-0 flex-1 flex-col">
          {notice}
          <ReconnectBanner />
          {children}
        </div>
      </div>
    </SidebarContext>
  )
}

/** Opens the list of sessions; there only while it is closed. */
export function SidebarButton() {
  const { isOpen, toggle } = useContext(SidebarContext)
  if (isOpen) return null
  return (
    <IconButton data-sidebar-toggle label="Show the list of sessions" onClick={toggle}>
      <PanelLeft aria-hidden className="size-5" />
    </IconButton>
  )
}
