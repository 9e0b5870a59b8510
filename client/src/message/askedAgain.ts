import type { MessageFieldsFragment } from '../../gql/graphql.ts'
import type { Unsent } from '../../library/outbox.ts'

/** The ids of the viewer's failed questions and their answers that were followed by the same question. */
export function askedAgain(
  messages: readonly MessageFieldsFragment[],
  unsent: readonly Pick<Unsent, 'content'>[],
  viewerId: string,
): ReadonlySet<string> {
  const byId = new Map(messages.map((message) => [message.id, message]))
  const later = new Set(unsent.map(({ content }) => content))
  const found = new Set<string>()
  for (const { id, status, content, author, parent } of messages.toReversed()) {
    const question = parent && byId.get(parent.id)
    const isFailed = status === 'FAILED' || status === 'INTERRUPTED'
    if (isFailed && question?.author?.id === viewerId && later.has(question.content)) {
      found.add(id)
      found.add(question.id)
    }
    if (author?.id === viewerId) later.add(content)
  }
  return found
}
