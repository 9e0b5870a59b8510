import type { MessageStatus } from '../../gql/graphql.ts'
import { Markdown } from '../markdown/Markdown.tsx'
import { Boundary } from '../ui/Boundary.tsx'
import { isRunning } from './status.ts'

/** An answer's text. While none has come, three dots wait; while it comes, a caret stands at its end. */
export function MessageText({ text, status }: { text: string; status: MessageStatus }) {
  if (!text && isRunning(status)) {
    return (
      <div data-testid="message-content" className="flex h-[1lh] items-center gap-1" title="Waiting for the model">
        <span className="sr-only">Waiting for the model</span>
        <span className="waiting-dot" />
        <span className="waiting-dot" />
        <span className="waiting-dot" />
      </div>
    )
  }
  if (!text) return null
  return (
    <div data-testid="message-content" className={`prose ${isRunning(status) ? 'is-streaming' : ''}`}>
      <Boundary fallback={<p className="whitespace-pre-wrap">{text}</p>}>
        <Markdown text={text} isGrowing={isRunning(status)} />
      </Boundary>
    </div>
  )
}
