import { useParley } from '../api/parley.ts'
import { useStore } from '../api/useStore.ts'

/** Who types. Not announced: it would talk over everything else. */
export function TypingLine({ sessionId }: { sessionId: string }) {
  const { presence, viewer } = useParley()
  const typists = (useStore(presence.typists).get(sessionId) ?? []).filter(({ id }) => id !== viewer.id)
  const names = typists.map(({ name }) => name)
  const text =
    names.length === 0
      ? ''
      : names.length === 1
        ? `${names[0]} is typing…`
        : names.length === 2
          ? `${names[0]} and ${names[1]} are typing…`
          : `${names.length} people are typing…`
  return (
    <p data-testid="typing" className="h-5 shrink-0 truncate text-sm text-muted">
      {text}
    </p>
  )
}
