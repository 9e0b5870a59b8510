import type { MessageStatus } from '../../gql/graphql.ts'

/** Whether more of the message is to come. */
export function isRunning(status: MessageStatus): boolean {
  return status === 'PENDING' || status === 'STREAMING'
}
