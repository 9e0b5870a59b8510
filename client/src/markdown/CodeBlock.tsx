import { lazy, Suspense } from 'react'
import { CopyButton } from '../ui/CopyButton.tsx'

// A page that is older than the server's build asks for a file that is gone; its code then stays without colours.
const Highlighted = lazy(() =>
  import('./Highlighted.tsx').catch(() => ({ default: ({ code }: { code: string; language: string }) => code })),
)

export interface CodeBlockProps {
  code: string
  language: string
  /** Colours come once the fence is closed: they would be wrong, and cost much, while it is open. */
  isClosed: boolean
}

export function CodeBlock({ code, language, isClosed }: CodeBlockProps) {
  return (
    <figure className="code-block">
      <figcaption>
        <span>{language || 'text'}</span>
        <CopyButton text={code} label="Copy code" />
      </figcaption>
      <pre tabIndex={0} aria-label={language ? `Code, ${language}` : 'Code'}>
        <code>
          {isClosed && language ? (
            <Suspense fallback={code}>
              <Highlighted code={code} language={language} />
            </Suspense>
          ) : (
            code
          )}
        </code>
      </pre>
    </figure>
  )
}
