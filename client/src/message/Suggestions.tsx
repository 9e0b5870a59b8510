const suggestions = [
  'Explain how a hash map works, with a small example',
  'Help me plan a weekend in the mountains',
  'Write a polite reply that declines an invitation',
  'Show me a table of common time complexities',
]

export function Suggestions({ canWrite, onPick }: { canWrite: boolean; onPick: (text: string) => void }) {
  return (
    <div className="m-auto w-full text-center">
      <h2 className="text-xl font-semibold">{canWrite ? 'How shall it begin?' : 'Nothing was said yet'}</h2>
      {canWrite && (
        <ul aria-label="Suggestions" className="mt-5 grid gap-2 sm:grid-cols-2">
          {suggestions.map((text) => (
            <li key={text}>
              <button
                type="button"
                onClick={() => onPick(text)}
                className="h-full w-full rounded-xl border border-line px-4 py-3 text-left text-sm text-muted hover:bg-hover hover:text-ink"
              >
                {text}
              </button>
            </li>
          ))}
        </ul>
      )}
    </div>
  )
}
