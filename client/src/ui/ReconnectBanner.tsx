import { useEffect, useState } from 'react'
import { useParley } from '../api/parley.ts'
import { useStore } from '../api/useStore.ts'

/** Shown once a connection has been lost for longer than a blink. */
export function ReconnectBanner() {
  const { connection } = useParley()
  const isLost = useStore(connection.state) === 'reconnecting'
  const [isShown, setShown] = useState(false)

  useEffect(() => {
    if (!isLost) return
    const timer = setTimeout(() => setShown(true), 800)
    return () => {
      clearTimeout(timer)
      setShown(false)
    }
  }, [isLost])

  if (!isShown) return null
  return (
    <div
      role="status"
      className="flex flex-wrap items-center justify-center gap-x-3 gap-y-1 bg-warn-soft px-4 py-1.5 text-center text-sm text-warn-ink"
    >
      The connection was lost. Reconnecting; what you write is kept.
      <button type="button" className="min-h-6 font-medium underline" onClick={connection.wake}>
        Try now
      </button>
    </div>
  )
}
