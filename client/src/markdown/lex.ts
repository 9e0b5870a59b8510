import { Lexer, type Links, type Token, type Tokens, type TokensList } from 'marked'

export type Block = Token

/** Markdown cut into blocks, with what it takes to go on when more text is appended. */
export interface Lexed {
  source: string
  blocks: readonly Block[]
  /** Definitions of reference links, e.g. `[docs]: https://example.org`. */
  links: Links
}

/** Text that is shown as it stands, since it can't be lexed, or not in time. */
interface PlainBlock extends Tokens.HTML {
  isPlain: true
}

/** What people and models write stays far below; deeper ones end the lexer or the browser's layout. */
const maxDepth = 50
/** Past these marked takes time that grows with the square: 30 ms here, seconds for ten times as much. */
const maxWordCharacters = 3_000
const maxLines = 2_000

const options = { gfm: true, breaks: false, async: false } as const

/**
 * Lexes `text`. Where it appends to what `before` was lexed from, only the blocks that can still change are lexed
 * again, and the others stay the same objects; the result equals that of a full lex.
 */
export function lex(text: string, before?: Lexed): Lexed {
  const source = text.replace(/\r\n?/g, '\n')
  if (!before || !source.startsWith(before.source)) return lexWhole(source)
  if (source.length === before.source.length) return before
  const last = before.blocks.at(-1)
  if (last && isPlain(last)) {
    const more = source.slice(before.source.length)
    return { ...before, source, blocks: [...before.blocks.slice(0, -1), plainBlock(last.raw + more)] }
  }

  const kept = settledBlocks(before.blocks)
  const offset = lengthOf(kept)
  // Only where the blocks are the source, cut, do their lengths say where to go on.
  if (kept.length === 0 || lengthOf(before.blocks) !== before.source.length) return lexWhole(source)

  const lexer = new Lexer(options)
  collectLinks(kept, lexer.tokens.links)
  const fresh = lexSafely(lexer, source.slice(offset))
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
  const blocks = lexSafely(new Lexer(options), source)
  return { source, blocks, links: { ...blocks.links } }
}

/** The blocks of `text`; it all, or what is nested too deep in it, as one block of plain text where it can't be lexed. */
function lexSafely(lexer: Lexer, text: string): TokensList {
  const plain = (): TokensList => Object.assign([plainBlock(text)], { links: lexer.tokens.links })
  if (isDear(text)) return plain()
  try {
    const blocks = lexer.lex(text)
    const shallow = blocks.map((block) => (isTooDeep(block) ? plainBlock(block.raw) : block))
    return Object.assign(shallow, { links: blocks.links })
  } catch {
    // marked calls itself for each level of nesting, and the stack has an end
    return plain()
  }
}

const plainBlock = (raw: string): PlainBlock => ({
  type: 'html',
  block: true,
  pre: false,
  raw,
  text: raw,
  isPlain: true,
})

const isPlain = (block: Block): block is PlainBlock => 'isPlain' in block

/** Whether marked would take long: a very long word, or very many lines without an empty one. Code in fences is cheap. */
function isDear(text: string): boolean {
  let word = 0
  let lines = 0
  let fence = ''
  for (const line of text.split('\n')) {
    const mark = /^[ \t>]*(`{3,}|~{3,})/.exec(line)?.[1]
    if (fence) {
      if (mark?.startsWith(fence)) fence = ''
      continue
    }
    if (mark) fence = mark
    lines = line.trim() === '' ? 0 : lines + 1
    if (line.length > maxWordCharacters) for (const part of line.split(/[ \t]+/)) word = Math.max(word, part.length)
    if (lines > maxLines || word > maxWordCharacters) return true
  }
  return false
}

function isTooDeep(block: Block): boolean {
  let level: readonly Token[] = [block]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > maxDepth) return true
    level = level.flatMap((token) => childrenOf(token))
  }
  return false
}

function childrenOf(token: Token): readonly Token[] {
  if (token.type === 'list') return (token as Tokens.List).items
  if (token.type === 'table') {
    const { header, rows } = token as Tokens.Table
    return [header, ...rows].flat().flatMap(({ tokens }) => tokens)
  }
  return 'tokens' in token ? (token.tokens ?? []) : []
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
