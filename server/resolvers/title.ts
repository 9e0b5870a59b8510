const titleWords = 5
const titleCharacters = 500

/** A session's title from its first message: the first five words, then an ellipsis if there were more. */
export function titleFrom(content: string): string {
  const words = content.trim().split(/\s+/u)
  const title = words.slice(0, titleWords).join(' ')
  const characters = [...(words.length > titleWords ? `${title}…` : title)]
  return characters.length <= titleCharacters
    ? characters.join('')
    : `${characters.slice(0, titleCharacters - 1).join('')}…`
}
