import { pipe, subscribe } from 'wonka'
import type { MessageFieldsFragment, SessionEventsSubscription } from '../gql/graphql.ts'
import type { ParleyClient } from '../library/client.ts'
import { foldDelta } from '../library/fold.ts'
import { StopGeneration } from '../src/message/operations.ts'
import { SessionEvents } from '../src/session/operations.ts'
import type { Screen } from './screen.ts'

type Event = SessionEventsSubscription['sessionEvents']
type Message = MessageFieldsFragment

export interface ConversationOptions {
  client: ParleyClient
  sessionId: string
  viewerId: string
  screen: Screen
  /** What was read with the messages. */
  after: number
  messages: readonly Message[]
  /** Only the answer to this message is shown, and none of the others. */
  onlyAnswerTo?: string
  /** An answer that is shown has ended. */
  onAnswer?: (message: Message) => void
  /** There is nothing to follow any more; the sentence says why. */
  onGone: (why: string) => void
}

export interface Conversation {
  /** Stops the answers that are being written; false where there are none. */
  stopAnswers(): boolean
  close(): void
}

interface Answer {
  content: string
  shown: number
  generationId: string | undefined
  ended: Message | undefined
}

/** Shows a session from where it was read: answers as they are written, one after the other, and who else is there. */
export function showConversation(options: ConversationOptions): Conversation {
  const { client, sessionId, viewerId, screen, onlyAnswerTo, onAnswer, onGone } = options
  /** Those not wholly shown yet, in the order in which they began. */
  const answers = new Map<string, Answer>()

  function begin({ id, content, parent, generation }: Message) {
    if (onlyAnswerTo !== undefined && parent?.id !== onlyAnswerTo) return
    answers.set(id, { content, shown: 0, generationId: generation?.id, ended: undefined })
    show()
  }

  function show() {
    for (const [id, answer] of answers) {
      if (answer.content.length > answer.shown) {
        screen.answer(answer.content.slice(answer.shown))
        answer.shown = answer.content.length
      }
      // Two at once would be read as one.
      if (!answer.ended) return
      answers.delete(id)
      if (answer.shown > 0) screen.endAnswer()
      const ending = endingOf(answer.ended)
      if (ending) screen.notice(ending)
      onAnswer?.(answer.ended)
    }
  }

  function onEvent(event: Event) {
    switch (event.__typename) {
      case 'MessageAdded':
        if (event.message.role === 'ASSISTANT') return begin(event.message)
        return event.message.author?.id === viewerId ? undefined : say(event.message)
      case 'MessageDelta': {
        const answer = answers.get(event.messageId)
        if (answer) answer.content = foldDelta(answer.content, event)
        return show()
      }
      case 'GenerationEnded': {
        const answer = answers.get(event.message.id)
        if (!answer) return undefined
        answer.content = event.message.content
        answer.ended = event.message
        return show()
      }
      case 'ParticipantJoined':
        return screen.notice(`${event.participant.user.name} joined.`)
      case 'ParticipantLeft':
        return screen.notice(`${event.user.name} left.`)
      case 'PresenceChanged':
        if (event.user.id === viewerId) return undefined
        return screen.notice(`${event.user.name} ${event.isOnline ? 'is here.' : 'went.'}`)
      case 'TypingChanged':
        return event.isTyping && answers.size === 0 ? screen.notice(`${event.user.name} is typing…`) : undefined
      case 'SessionDeleted':
        return onGone('The session was deleted.')
      case 'Resync':
        return screen.notice('The server was set back; some of what you saw may be gone from it.')
    }
  }

  function say({ author, content }: Message) {
    if (onlyAnswerTo === undefined) screen.notice(`${author?.name ?? 'Someone'}: ${content}`)
  }

  async function stop(generationId: string) {
    const { error } = await client.mutation(StopGeneration, { input: { generationId } })
    if (error) screen.notice('The server can’t be reached to stop it.', { isUrgent: true })
  }

  for (const message of options.messages) {
    if (message.role === 'ASSISTANT' && isRunning(message)) begin(message)
  }
  const { unsubscribe } = pipe(
    client.subscription(SessionEvents, { sessionId, after: options.after }),
    subscribe(({ data, error, hasNext }) => {
      if (error && !hasNext) onGone(error.graphQLErrors[0]?.message ?? error.message)
      else if (data) onEvent(data.sessionEvents)
    }),
  )

  return {
    stopAnswers() {
      const running = [...answers.values()].filter(({ ended }) => !ended)
      for (const { generationId } of running) if (generationId) void stop(generationId)
      return running.length > 0
    },
    close: unsubscribe,
  }
}

export function isRunning({ status }: Message): boolean {
  return status === 'PENDING' || status === 'STREAMING'
}

function endingOf({ status, error }: Message): string | undefined {
  switch (status) {
    case 'STOPPED':
      return '(stopped)'
    case 'INTERRUPTED':
      return '(interrupted: the server went away while this was being written)'
    case 'FAILED':
      return `(failed: ${error?.message ?? 'the model gave no answer'})`
    default:
      return undefined
  }
}
