import { Writable } from 'node:stream'
import { clearScreenDown, createInterface, cursorTo } from 'node:readline'

/** Where a conversation is shown: answers on stdout, all else on stderr. */
export interface Screen {
  /** Text of the answer that is being written. */
  answer(text: string): void
  endAnswer(): void
  /** A line beside the conversation; one that is not urgent waits for the end of an answer. */
  notice(text: string, options?: { isUrgent?: boolean }): void
}

export interface Keyboard {
  onLine(content: string): void
  onInterrupt(): void
  onEnd(): void
}

export interface InteractiveScreen extends Screen {
  listen(keyboard: Keyboard): void
  close(): void
}

const { stdin, stdout, stderr } = process

/** For pipes: nothing but the answer on stdout. */
export function plainScreen(): Screen {
  return {
    answer: (text) => void stdout.write(text),
    endAnswer: () => void stdout.write('\n'),
    notice: (text) => void stderr.write(`${dim(clean(text))}\n`),
  }
}

/** For people: a prompt that steps aside while an answer is written, and keeps what is typed meanwhile. */
export function interactiveScreen(): InteractiveScreen {
  let isAnswering = false
  let isLineBegun = false
  let isClosed = false
  const waiting: string[] = []

  const promptOutput = new Writable({
    write(chunk, _encoding, done) {
      if (!isAnswering) stderr.write(chunk as Buffer)
      done()
    },
  })
  const lines = createInterface({
    input: stdin,
    output: Object.assign(promptOutput, { columns: stderr.columns ?? 80 }),
    terminal: true,
    prompt: '> ',
  })
  stderr.on('resize', () => {
    Object.assign(promptOutput, { columns: stderr.columns })
    promptOutput.emit('resize')
  })

  function clearPrompt() {
    if (isAnswering) return
    cursorTo(stderr, 0)
    clearScreenDown(stderr)
  }

  function print(text: string) {
    if (isLineBegun && stdout.isTTY) stderr.write('\n')
    isLineBegun = false
    stderr.write(`${dim(clean(text))}\n`)
  }

  function prompt() {
    if (!isClosed) lines.prompt(true)
  }

  return {
    answer(text) {
      clearPrompt()
      isAnswering = true
      isLineBegun = true
      stdout.write(stdout.isTTY ? clean(text) : text)
    },
    endAnswer() {
      stdout.write('\n')
      isLineBegun = false
      isAnswering = false
      for (const text of waiting.splice(0)) print(text)
      prompt()
    },
    notice(text, { isUrgent = false } = {}) {
      if (isAnswering && !isUrgent) return void waiting.push(text)
      clearPrompt()
      print(text)
      if (!isAnswering) prompt()
    },
    listen({ onLine, onInterrupt, onEnd }) {
      lines.on('line', (line) => {
        // What was typed under an answer was not to be seen.
        if (isAnswering) waiting.push(`> ${line}`)
        if (line.trim()) onLine(line)
        prompt()
      })
      lines.on('SIGINT', onInterrupt)
      lines.on('close', () => {
        isClosed = true
        onEnd()
      })
      prompt()
    },
    close() {
      clearPrompt()
      isClosed = true
      lines.close()
    },
  }
}

function dim(text: string): string {
  return stderr.isTTY && !process.env.NO_COLOR ? `\x1b[2m${text}\x1b[0m` : text
}

/** Without what would command the terminal: it comes from others. */
function clean(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '')
}
