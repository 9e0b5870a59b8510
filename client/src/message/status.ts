import type { MessageFieldsFragment, MessageStatus } from '../../gql/graphql.ts'

/** Whether more of the message is to come. */
export function isRunning(status: MessageStatus): boolean {
  return status === 'PENDING' || status === 'STREAMING'
}

/** What cut off an answer that is complete by its status: the model's part of it is all there. */
export function cutOf({
  status,
  generation,
}: Pick<MessageFieldsFragment, 'status' | 'generation'>): string | undefined {
  if (status !== 'COMPLETE') return undefined
  if (generation?.finishReason === 'LENGTH') return 'Cut off at the length limit'
  if (generation?.finishReason === 'CONTENT_FILTER') return "Cut off by the provider's content filter"
  return undefined
}
