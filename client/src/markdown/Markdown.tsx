import type { Token, Tokens } from 'marked'
import { memo, useState, type ReactNode } from 'react'
import { CodeBlock } from './CodeBlock.tsx'
import { Inline } from './Inline.tsx'
import { incrementalLex } from './lex.ts'

export interface MarkdownProps {
  text: string
  /** Whether more text is to come. */
  isGrowing?: boolean
}

/** Markdown as elements, block by block; when text is appended, only the blocks that it changes are made again. */
export const Markdown = memo(function Markdown({ text, isGrowing = false }: MarkdownProps) {
  const [lexNext] = useState(incrementalLex)
  return <Blocks tokens={lexNext(text).blocks} isGrowing={isGrowing} isTop />
})

interface BlocksProps {
  tokens: readonly Token[]
  isGrowing?: boolean
  /** Each block of the message has its own direction; what is inside one follows it, or `dir` would not look at it. */
  isTop?: boolean
}

function Blocks({ tokens, isGrowing = false, isTop = false }: BlocksProps): ReactNode {
  return tokens.map((token, index) => (
    <Block
      key={index}
      token={token as BlockToken}
      isOpen={isGrowing && index === tokens.length - 1}
      dir={isTop ? 'auto' : undefined}
    />
  ))
}

type BlockToken =
  | Tokens.Space
  | Tokens.Code
  | Tokens.Heading
  | Tokens.Table
  | Tokens.Hr
  | Tokens.Blockquote
  | Tokens.List
  | Tokens.HTML
  | Tokens.Def
  | Tokens.Paragraph
  | Tokens.Text
  | Tokens.Checkbox

type Direction = 'auto' | undefined

interface BlockProps {
  token: BlockToken
  isOpen: boolean
  dir: Direction
}

const Block = memo(function Block({ token, isOpen, dir }: BlockProps): ReactNode {
  switch (token.type) {
    case 'space':
    case 'def':
      return null
    case 'heading':
      return <Heading token={token} dir={dir} />
    case 'paragraph':
      return (
        <p dir={dir}>
          <Inline tokens={token.tokens} />
        </p>
      )
    case 'text':
      return <Inline tokens={token.tokens ?? [token]} />
    case 'checkbox':
      return <Inline tokens={[token]} />
    case 'code':
      return (
        <CodeBlock
          code={token.text}
          language={token.lang?.trim().split(/\s+/)[0]?.toLowerCase() ?? ''}
          isClosed={!isOpen || isClosed(token)}
        />
      )
    case 'list':
      return <List token={token} isOpen={isOpen} dir={dir} />
    case 'blockquote':
      return (
        <blockquote dir={dir}>
          <Blocks tokens={token.tokens} isGrowing={isOpen} />
        </blockquote>
      )
    case 'table':
      return <Table token={token} dir={dir} />
    case 'hr':
      return <hr />
    case 'html':
      return (
        <p dir={dir} className="whitespace-pre-wrap">
          {token.raw.trimEnd()}
        </p>
      )
    default:
      return <p dir={dir}>{(token as Token).raw}</p>
  }
})

function Heading({ token, dir }: { token: Tokens.Heading; dir: Direction }) {
  // The page's own headings are of level 1 and 2; a message's begin below them.
  const Tag = `h${Math.min(token.depth + 2, 6)}` as 'h3'
  return (
    <Tag dir={dir} data-depth={token.depth}>
      <Inline tokens={token.tokens} />
    </Tag>
  )
}

function List({ token, isOpen, dir }: { token: Tokens.List; isOpen: boolean; dir: Direction }) {
  const items = token.items.map((item, index) => (
    <li key={index} data-task={item.task || undefined}>
      <Blocks tokens={item.tokens} isGrowing={isOpen && index === token.items.length - 1} />
    </li>
  ))
  return token.ordered ? (
    <ol dir={dir} start={token.start === '' ? undefined : token.start}>
      {items}
    </ol>
  ) : (
    <ul dir={dir}>{items}</ul>
  )
}

function Table({ token, dir }: { token: Tokens.Table; dir: Direction }) {
  const cells = (row: Tokens.TableCell[], Tag: 'th' | 'td') =>
    row.map((cell, index) => (
      <Tag key={index} style={cell.align ? { textAlign: cell.align } : undefined}>
        <Inline tokens={cell.tokens} />
      </Tag>
    ))
  return (
    <div className="table-scroll" tabIndex={0} role="region" aria-label="Table">
      <table dir={dir}>
        <thead>
          <tr>{cells(token.header, 'th')}</tr>
        </thead>
        <tbody>
          {token.rows.map((row, index) => (
            <tr key={index}>{cells(row, 'td')}</tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function isClosed({ raw, codeBlockStyle }: Tokens.Code): boolean {
  if (codeBlockStyle === 'indented') return false
  const fence = /^ {0,3}(`{3,}|~{3,})/.exec(raw)?.[1]
  const last = raw.trimEnd().split('\n').slice(1).at(-1)?.trim() ?? ''
  return fence !== undefined && last.startsWith(fence) && /^(`+|~+)$/.test(last)
}
