import { useParley } from '../api/parley.ts'
import { useStore } from '../api/useStore.ts'

const words = { connecting: 'Connecting', live: 'Live', reconnecting: 'Reconnecting' }
const colours = { connecting: 'bg-warn', live: 'bg-good', reconnecting: 'bg-danger' }

/** How the connection is doing; nothing where there is nothing to follow. */
export function ConnectionBadge() {
  const state = useStore(useParley().connection.state)
  if (state === 'idle') return null
  return (
    <span
      data-testid="connection"
      data-state={state}
      title={`Connection: ${words[state].toLowerCase()}`}
      className="inline-flex items-center gap-1.5 text-xs text-muted"
    >
      <span aria-hidden className={`size-2 rounded-full ${colours[state]}`} />
      <span className="max-sm:sr-only">{words[state]}</span>
    </span>
  )
}
