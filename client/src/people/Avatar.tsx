const hues = [160, 200, 250, 290, 330, 20, 60, 100]

/** A person's initials, with a dot where they are here. */
export function Avatar({ name, isOnline }: { name: string; isOnline: boolean }) {
  const hue = hues[[...name].reduce((sum, letter) => sum + letter.codePointAt(0)!, 0) % hues.length]
  return (
    <span
      aria-hidden
      data-online={isOnline}
      className={`relative inline-grid size-7 place-items-center rounded-full text-[0.65rem] font-semibold text-white uppercase ring-2 ring-paper ${isOnline ? '' : 'opacity-50 grayscale'}`}
      style={{ backgroundColor: `oklch(0.52 0.08 ${hue})` }}
    >
      {initialsOf(name)}
      {isOnline && <span className="absolute -right-0.5 -bottom-0.5 size-2.5 rounded-full bg-good ring-2 ring-paper" />}
    </span>
  )
}

/** "Ada Lovelace" is AL, "Ada" is Ad, "Guest 4821" is 21: what tells people apart. */
function initialsOf(name: string): string {
  const words = name.trim().split(/\s+/)
  const last = words.at(-1) ?? ''
  if (/^\d{2,}$/.test(last)) return last.slice(-2)
  const letters = words.length > 1 ? [words[0]!, last].map((word) => [...word][0]) : [...last].slice(0, 2)
  return letters.join('')
}
