const titleWords = 5

/** A session's title from its first message: the first five words, then an ellipsis if there were more. */
export function titleFrom(content: string, maxCharacters: number): string {
  const words = content.trim().split(/\s+/u)
  const title = words.slice(0, titleWords).join(' ')
  const characters = [...(words.length > titleWords ? `${title}…` : title)]
  return characters.length <= maxCharacters
    ? characters.join('')
    : `${characters.slice(0, maxCharacters - 1).join('')}…`
}
