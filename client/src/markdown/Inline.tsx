import type { Token, Tokens } from 'marked'
import { Fragment, type ReactNode } from 'react'
import { decodeEntities } from './entities.ts'
import { RemoteImage } from './RemoteImage.tsx'
import { safeHref } from './links.ts'

/** Inline tokens as elements. HTML in the text is shown as text, never made into elements, but for a line break. */
export function Inline({ tokens = [] }: { tokens?: Token[] | undefined }): ReactNode {
  return tokens.map((token, index) => <Fragment key={index}>{inlineOf(token as InlineToken)}</Fragment>)
}

type InlineToken =
  | Tokens.Text
  | Tokens.Escape
  | Tokens.Codespan
  | Tokens.Strong
  | Tokens.Em
  | Tokens.Del
  | Tokens.Br
  | Tokens.Link
  | Tokens.Image
  | Tokens.Tag
  | Tokens.Checkbox

function inlineOf(token: InlineToken): ReactNode {
  switch (token.type) {
    case 'text':
      return 'tokens' in token && token.tokens ? <Inline tokens={token.tokens} /> : decodeEntities(token.text)
    case 'codespan':
      return <code>{token.text}</code>
    case 'strong':
      return (
        <strong>
          <Inline tokens={token.tokens} />
        </strong>
      )
    case 'em':
      return (
        <em>
          <Inline tokens={token.tokens} />
        </em>
      )
    case 'del':
      return (
        <del>
          <Inline tokens={token.tokens} />
        </del>
      )
    case 'br':
      return <br />
    case 'link':
      return <Link token={token} />
    case 'image':
      return <RemoteImage href={decodeEntities(token.href)} alt={decodeEntities(token.text)} />
    case 'checkbox':
      return (
        <input type="checkbox" checked={token.checked} readOnly disabled aria-label={token.checked ? 'Done' : 'Open'} />
      )
    case 'escape':
      return token.text
    case 'html':
      return /^<br\s*\/?>$/i.test(token.raw) ? <br /> : token.raw
    default:
      return (token as Token).raw
  }
}

function Link({ token }: { token: Tokens.Link }) {
  const href = safeHref(decodeEntities(token.href))
  if (!href) return <Inline tokens={token.tokens} />
  return (
    <a href={href} title={token.title ?? undefined} target="_blank" rel="noopener noreferrer">
      <Inline tokens={token.tokens} />
    </a>
  )
}
