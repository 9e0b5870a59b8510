import { useParley } from '../api/parley.ts'
import { useStore } from '../api/useStore.ts'

/** Tells screen readers when an answer begins, ends or fails; the tokens between are in no live region. */
export function Announcer() {
  const { text, isUrgent } = useStore(useParley().announcement)
  return (
    <div className="sr-only">
      <div role="status" aria-label="Announcements">
        {isUrgent ? '' : text}
      </div>
      <div aria-live="assertive">{isUrgent ? text : ''}</div>
    </div>
  )
}
