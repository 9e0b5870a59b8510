const titleWords = 5
const titleGraphemes = 60

const segmentWords = new Intl.Segmenter(undefined, { granularity: 'word' })
const segmentGraphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' })

/**
 * A session's title from its first message: its first five words on one line, without Markdown, and an ellipsis where
 * there is more. At most 60 graphemes, and at most `maxCharacters` code points. Empty where the message has no text.
 */
export function titleFrom(content: string, maxCharacters: number): string {
  const text = plainText(content)
  const start = firstWords(text)
  const graphemes = Array.from(segmentGraphemes.segment(start), ({ segment }) => segment)
  const room = Math.min(titleGraphemes, maxCharacters) - 1
  const isCut = start.length < text.length || graphemes.length > room + 1
  let title = (isCut ? graphemes.slice(0, room) : graphemes).join('').trim()
  // a grapheme may have many code points
  const characters = [...title]
  if (characters.length > maxCharacters - 1) title = characters.slice(0, maxCharacters - 1).join('')
  return isCut && title ? `${title}…` : title
}

/** Up to the end of the fifth word. Words are apart by spaces; where a language writes none, the text goes on to its limit. */
function firstWords(text: string): string {
  if (
    /\s/.test(text) &&
    !/[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}]/u.test(text)
  )
    return text.split(' ').slice(0, titleWords).join(' ')
  // a word of such a script is one or two characters: as many of them as five others are long
  let end = 0
  let words = 0
  for (const { index, segment, isWordLike } of segmentWords.segment(text)) {
    if (isWordLike && ++words > 2 * titleWords) break
    end = index + segment.length
  }
  return text.slice(0, end).trim()
}

/** One line without Markdown's signs, code blocks, control characters and changes of direction. */
function plainText(content: string): string {
  // more than enough for five words, and bounded for the patterns below
  const text = content.slice(0, 4_000)
  const words = text
    .replace(/```[\s\S]*?(?:```|$)|~~~[\s\S]*?(?:~~~|$)/g, ' ')
    .replace(/^[ \t]*(?:#{1,6}[ \t]+|>+[ \t]?|[-*+][ \t]+|\d{1,9}[.)][ \t]+)+/gm, '')
    .replace(/!?\[([^\]\n]*)\]\([^)\n]*\)/g, '$1')
    .replace(/`+|\*+|~~+|(?<![\p{L}\p{N}])_+|_+(?![\p{L}\p{N}])/gu, '')
    .replace(/[\p{Cc}\u2028\u2029\s]+/gu, ' ')
    .replace(/[\u202a-\u202e\u2066-\u2069]/g, '')
    .trim()
  // a message of nothing but code is called by its first line
  return (
    words ||
    text
      .replace(/[`~]{3,}[^\n]*\n?/g, ' ')
      .replace(/[\p{Cc}\s]+/gu, ' ')
      .trim()
  )
}
