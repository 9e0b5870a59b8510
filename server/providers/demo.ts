import { ProviderError, type ChatRequest, type FinishReason, type ModelInfo, type Provider } from './provider.ts'

export interface DemoOptions {
  /** Milliseconds between words; 40 by default, about the speed of a fast reader. */
  wordMs?: number
}

const maxCount = 10_000
const slowFactor = 10
const wordsAtOnce = 64

/**
 * A stand-in for a model, so that the server can be tried with no key and no other service. It says so in its answers.
 * The same message always gets the same answer. It reports no usage; the server estimates it.
 *
 * It obeys what the last message of the user begins with:
 *
 * | words | answer |
 * | --- | --- |
 * | `/echo <text>` | the text, exactly |
 * | `/count <n>` | the numbers from 1 to n (1 to 10,000; 10 where left out), each a word |
 * | `/markdown` | headings, a list, a table, a quotation, a link and code |
 * | `/help` | these words |
 *
 * and before one of those, or before anything else:
 *
 * | words | effect |
 * | --- | --- |
 * | `/fast` | no pause between words |
 * | `/slow` | ten times the pause |
 * | `/fail` | breaks off after half of the words, as a provider's failure |
 *
 * e.g. `/fast /count 100`. Text after `/markdown` or `/help` is ignored.
 */
export function demo({ wordMs = 40 }: DemoOptions = {}): Provider {
  return {
    name: 'demo',
    models: () => Promise.resolve<ModelInfo[]>([{ name: 'demo', contextWindow: null }]),
    stream(request, sink, signal) {
      const { words, reason, pace, failsAfter } = plan(request)
      const pauseMs = pace === 'fast' ? 0 : pace === 'slow' ? wordMs * slowFactor : wordMs
      const atOnce = pauseMs === 0 ? wordsAtOnce : 1

      return new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason)
        let next = 0
        let timer: NodeJS.Timeout | undefined
        const settle = (end: () => void) => {
          clearTimeout(timer)
          signal.removeEventListener('abort', onAbort)
          end()
        }
        const onAbort = () => settle(() => reject(signal.reason))
        signal.addEventListener('abort', onAbort, { once: true })

        const speak = () => {
          try {
            for (let n = 0; n < atOnce && next < words.length; n++) {
              if (next === failsAfter) return settle(() => reject(demoFailure()))
              sink({ type: 'text', text: words[next++]! })
              if (signal.aborted) return
            }
            if (next < words.length) {
              timer = setTimeout(speak, pauseMs)
              return
            }
            sink({ type: 'finish', reason })
            settle(resolve)
          } catch (error) {
            settle(() => reject(error))
          }
        }
        timer = setTimeout(speak, pauseMs)
      })
    },
  }
}

interface Plan {
  words: string[]
  reason: FinishReason
  pace: 'normal' | 'fast' | 'slow'
  /** How many words come before the failure; undefined for an answer that succeeds. */
  failsAfter: number | undefined
}

function plan(request: ChatRequest): Plan {
  let rest = request.messages.findLast(({ role }) => role === 'user')?.content ?? ''
  let pace: Plan['pace'] = 'normal'
  let fails = false
  for (;;) {
    const modifier = /^\s*\/(fast|slow|fail)(?=\s|$)/.exec(rest)
    if (!modifier) break
    if (modifier[1] === 'fail') fails = true
    else pace = modifier[1] as 'fast' | 'slow'
    rest = rest.slice(modifier[0].length)
  }
  // Each word keeps the white space behind it: together they are the answer again, byte for byte.
  const all = answerTo(rest).match(/\s*\S+\s*|\s+/g) ?? []
  const words = request.maxTokens === undefined ? all : all.slice(0, request.maxTokens)
  return {
    words,
    reason: words.length < all.length ? 'length' : 'stop',
    pace,
    failsAfter: fails ? Math.floor(words.length / 2) : undefined,
  }
}

function answerTo(message: string): string {
  const command = /^\s*\/(echo|count|markdown|help)(?:\s([^]*))?$/.exec(message)
  const argument = command?.[2] ?? ''
  switch (command?.[1]) {
    case 'echo':
      return argument.trim() ? argument : 'There is nothing to echo: write a text behind /echo.'
    case 'count': {
      const asked = /^\s*\d+/.exec(argument)
      const count = Math.min(maxCount, Math.max(1, asked ? Number(asked[0]) : 10))
      return Array.from({ length: count }, (_, index) => index + 1).join(' ')
    }
    case 'markdown':
      return markdownSample
    case 'help':
      return help
    default:
      return introduction(message)
  }
}

function introduction(message: string): string {
  const words = message.trim().split(/\s+/)
  // A "word" may be 32,000 characters long.
  const quote = words.slice(0, 6).join(' ').slice(0, 80)
  const isShortened = quote.length < message.trim().length
  const said = quote ? `You said “${quote}${isShortened ? '…' : ''}”. ` : ''
  return `Hello! ${said}I am the demo model: I understand nothing, but I stream like a real one.

To talk to a real model, set \`LOCAL_BASE_URL\` to a server of your own (Ollama, llama.cpp, vLLM, LM Studio), or \`OPENROUTER_API_KEY\` to a key from OpenRouter, start the server again and choose a model.

Write \`/help\` to see what I can do.`
}

const help = `I am the demo model. I obey these words at the beginning of a message:

- \`/echo <text>\` answers with the text
- \`/count <n>\` counts from 1 to n, at most ${maxCount}
- \`/markdown\` shows headings, a list, a table and code
- \`/fast\`, \`/slow\` and \`/fail\`, before any other, set the speed or break the answer off`

const markdownSample = `# A heading

This answer of the demo model shows what **Markdown** can do: *emphasis*, \`code\`, ~~what was struck~~ and [a link](https://commonmark.org).

## A list

1. First
2. Second
   - with a part of its own
   - and another

## A table

| Language | Year | Typed |
| --- | ---: | :---: |
| Lisp | 1960 | no |
| TypeScript | 2012 | yes |

## Code

\`\`\`ts
export function greet(name: string): string {
  return \`Hello, \${name}!\`
}
\`\`\`

> A quotation, at the end.
`

const demoFailure = () =>
  new ProviderError(
    'PROVIDER_ERROR',
    'The demo model broke off, as /fail asked it to. Send the message without /fail.',
    {
      retryable: false,
    },
  )
