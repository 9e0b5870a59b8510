import { useParley } from '../api/parley.ts'
import { useStore } from '../api/useStore.ts'

const words = { idle: 'Connecting', connecting: 'Connecting', live: 'Live', reconnecting: 'Reconnecting' }
const colours = { idle: 'bg-warn', connecting: 'bg-warn', live: 'bg-good', reconnecting: 'bg-danger' }

export function ConnectionBadge() {
  const state = useStore(useParley().connection.state)
  return (
    <span
      data-testid="connection"
      data-state={state === 'idle' ? 'connecting' : state}
      title={`Connection: ${words[state].toLowerCase()}`}
      className="inline-flex items-center gap-1.5 text-xs text-muted"
    >
      <span aria-hidden className={`size-2 rounded-full ${colours[state]}`} />
      <span className="max-sm:sr-only">{words[state]}</span>
    </span>
  )
}
