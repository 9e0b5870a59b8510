/** `npm run chat`: a conversation in the terminal, on top of the client library. */
import { text } from 'node:stream/consumers'
import { createParleyClient } from '../library/client.ts'
import { uuidv7 } from '../library/uuid.ts'
import { isRunning, showConversation, type Conversation, type ConversationOptions } from './conversation.ts'
import { enterSession, invite, signIn, type Entrance } from './enter.ts'
import { createGuestTokens } from './guestTokens.ts'
import { help, readOptions, type Options } from './options.ts'
import { interactiveScreen, plainScreen, type Screen } from './screen.ts'

/** The process ends with this. */
type ExitCode = 0 | 1 | 130

const shownAtFirst = 10
/** Nobody looks on who could give up. */
const pipedPatienceMs = 10_000

async function chat(options: Options): Promise<ExitCode> {
  const terminal = process.stdin.isTTY ? interactiveScreen() : undefined
  const screen = terminal ?? plainScreen()
  const left = Promise.withResolvers<ExitCode>()
  let conversation: Conversation | undefined
  let isStopping = false
  let token: string | undefined

  function interrupt() {
    if (isStopping || !conversation?.stopAnswers()) return left.resolve(130)
    isStopping = true
    screen.notice('Stopping. Ctrl-C again leaves.', { isUrgent: true })
  }

  const client = createParleyClient({ url: options.url, token: () => token })
  tellOfConnection(client.connection.state, screen)
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', () => left.resolve(1))

  async function converse(): Promise<ExitCode> {
    const entrance: Entrance = {
      client,
      options,
      guests: createGuestTokens(process.env),
      setToken: (next) => (token = next),
      onTrouble: screen.notice,
      patienceMs: options.waitMs ?? (terminal ? Infinity : pipedPatienceMs),
    }
    const content = terminal ? '' : (await text(process.stdin)).trim()
    if (!terminal && !content) throw new Error('There was nothing on the input to send.')
    const viewer = await signIn(entrance)
    const session = await enterSession(entrance)
    screen.notice(`Session ${session.id}, ${session.model.id}. You are ${viewer.name}.`)
    if (options.isInviting) screen.notice(`Others can join: ${await invite(entrance, session.id)}`)

    const follow = (more: Partial<ConversationOptions>) => {
      conversation = showConversation({
        client,
        sessionId: session.id,
        viewerId: viewer.id,
        screen,
        after: session.lastSeq,
        messages: session.messages.edges.map(({ node }) => node),
        onGone(why) {
          screen.notice(why, { isUrgent: true })
          left.resolve(1)
        },
        ...more,
      })
    }
    const send = async (id: string, said: string) => {
      const failure = await client.outbox.send({ id, sessionId: session.id, content: said })
      if (failure && failure.code !== 'CLOSED') screen.notice(`Not sent: ${failure.message}`, { isUrgent: true })
      return failure === undefined
    }

    if (terminal) {
      for (const { node } of session.messages.edges.slice(-shownAtFirst)) {
        if (!isRunning(node)) screen.notice(`${node.author?.name ?? node.model?.name ?? 'Model'}: ${node.content}`)
      }
      follow({ onAnswer: () => (isStopping = false) })
      terminal.listen({
        onLine: (line) => void send(uuidv7(), line),
        onInterrupt: interrupt,
        onEnd: () => left.resolve(0),
      })
    } else {
      const id = uuidv7()
      follow({ onlyAnswerTo: id, onAnswer: ({ status }) => left.resolve(status === 'COMPLETE' ? 0 : 1) })
      if (!(await send(id, content))) return 1
    }
    return left.promise
  }

  try {
    return await Promise.race([converse(), left.promise])
  } finally {
    const unsent = client.outbox.unsent.get().length
    conversation?.close()
    client.close()
    terminal?.close()
    if (unsent > 0) process.stderr.write(`Not sent: ${unsent === 1 ? 'one message' : `${unsent} messages`}.\n`)
  }
}

function tellOfConnection(state: ReturnType<typeof createParleyClient>['connection']['state'], screen: Screen): void {
  let isLost = false
  state.subscribe(() => {
    const now = state.get()
    if (now === 'reconnecting' && !isLost) screen.notice('Connection lost. Trying again…', { isUrgent: true })
    if (now === 'live' && isLost) screen.notice('Connected again.', { isUrgent: true })
    if (now !== 'connecting') isLost = now === 'reconnecting'
  })
}

try {
  const options = readOptions(process.argv.slice(2), process.env)
  if (options === 'help') process.stdout.write(help)
  else process.exitCode = await chat(options)
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
// Whatever else is open, such as a request that the server never answers, is nobody's any more.
process.exit()
