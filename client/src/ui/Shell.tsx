import type { ReactNode } from 'react'
import { SidebarButton } from './Frame.tsx'

/** A page without a session's header: the way to the list of sessions stays. */
export function Shell({ children }: { children: ReactNode }) {
  return (
    <main className="flex min-h-0 flex-1 flex-col">
      <div className="p-2">
        <SidebarButton />
      </div>
      {children}
    </main>
  )
}
