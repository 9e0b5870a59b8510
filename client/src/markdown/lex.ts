import { Lexer, type Links, type Token } from 'marked'

export type Block = Token

/** Markdown cut into blocks, with what it takes to go on when more text is appended. */
export interface Lexed {
  source: string
  blocks: readonly Block[]
  /** Definitions of reference links, e.g. `[docs]: https://example.org`. */
  links: Links
}

const options = { gfm: true, breaks: false, async: false } as const

/**
 * Lexes `text`. Where it appends to what `before` was lexed from, only the blocks that can still change are lexed
 * again, and the others stay the same objects; the result equals that of a full lex.
 */
export function lex(text: string, before?: Lexed): Lexed {
  const source = text.replace(/\r\n?/g, '\n')
  if (!before || !source.startsWith(before.source)) return lexWhole(source)
  if (source.length === before.source.length) return before

  const kept = settledBlocks(before.blocks)
  const offset = lengthOf(kept)
  // Only where the blocks are the source, cut, do their lengths say where to go on.
  if (kept.length === 0 || lengthOf(before.blocks) !== before.source.length) return lexWhole(source)

  const lexer = new Lexer(options)
  collectLinks(kept, lexer.tokens.links)
  const fresh = lexer.lex(source.slice(offset))
  // A definition also turns earlier text into links.
  if (!sameLinks(fresh.links, before.links)) return lexWhole(source)
  return { source, blocks: [...kept, ...fresh], links: before.links }
}

/** `lex` that goes on from its own last result; for any text it gives what a full lex gives. */
export function incrementalLex(): (text: string) => Lexed {
  let before: Lexed | undefined
  return (text) => (before = lex(text, before))
}

function lexWhole(source: string): Lexed {
  const blocks = new Lexer(options).lex(source)
  return { source, blocks, links: { ...blocks.links } }
}

/**
 * The blocks that no appended text can change: those before the last one that is cut off from what precedes it by an
 * empty line, and not by one that a list may span ("1. a", empty line, "2" is a paragraph until "." follows).
 */
function settledBlocks(blocks: readonly Block[]): readonly Block[] {
  let first = blocks.length - 1
  while (first >= 0 && blocks[first]!.type === 'space') first -= 1
  while (first > 0 && !isCutOff(blocks, first)) first -= 1
  return blocks.slice(0, Math.max(first, 0))
}

function isCutOff(blocks: readonly Block[], index: number): boolean {
  let previous = index - 1
  while (previous >= 0 && blocks[previous]!.type === 'space') previous -= 1
  if (previous < 0) return true
  if (mayGoOn.has(blocks[previous]!.type)) return false
  const between = blocks.slice(previous, index).map(({ raw }) => raw)
  return /\n[ \t]*\n[ \t]*$/.test(between.join(''))
}

const mayGoOn = new Set(['list', 'def', 'html'])

function lengthOf(blocks: readonly Block[]): number {
  return blocks.reduce((length, { raw }) => length + raw.length, 0)
}

function collectLinks(blocks: readonly Block[], links: Links): void {
  for (const block of blocks) {
    if (block.type === 'def') links[block.tag] ??= { href: block.href, title: block.title }
    else if (block.type === 'list') collectLinks(block.items, links)
    else if (block.type === 'list_item' || block.type === 'blockquote') collectLinks(block.tokens ?? [], links)
  }
}

function sameLinks(a: Links, b: Links): boolean {
  const tags = Object.keys(a)
  return (
    tags.length === Object.keys(b).length &&
    tags.every((tag) => a[tag]?.href === b[tag]?.href && a[tag]?.title === b[tag]?.title)
  )
}
