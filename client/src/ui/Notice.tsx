import type { ReactNode } from 'react'

export interface NoticeProps {
  title: string
  children: ReactNode
  action?: ReactNode
  isAlert?: boolean
}

/** In the middle of the page, where there is nothing else to show. */
export function Notice({ title, children, action, isAlert = false }: NoticeProps) {
  return (
    <div role={isAlert ? 'alert' : undefined} className="m-auto max-w-md p-6 text-center">
      <h2 className="text-xl font-semibold">{title}</h2>
      <p className="mt-2 text-muted">{children}</p>
      {action && <div className="mt-5">{action}</div>}
    </div>
  )
}
