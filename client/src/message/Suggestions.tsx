const suggestions = [
  'Explain how a hash map works, with a small example',
  'Help me plan a weekend in the mountains',
  'Write a polite reply that declines an invitation',
  'Show me a table of common time complexities',
]

/** Texts to begin with. */
export function Suggestions({ onPick }: { onPick: (text: string) => void }) {
  return (
    <ul aria-label="Suggestions" className="grid gap-2 sm:grid-cols-2">
      {suggestions.map((text) => (
        <li key={text}>
          <button
            type="button"
            onClick={() => onPick(text)}
            className="h-full w-full rounded-xl border border-line px-4 py-3 text-start text-sm text-muted hover:bg-hover hover:text-ink"
          >
            {text}
          </button>
        </li>
      ))}
    </ul>
  )
}
