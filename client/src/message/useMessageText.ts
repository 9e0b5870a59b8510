import { useCallback, useEffect, useSyncExternalStore } from 'react'
import type { MessageFieldsFragment, MessageStatus } from '../../gql/graphql.ts'
import { joinTail } from '../../library/fold.ts'
import { useParley } from '../api/parley.ts'
import { isRunning } from './status.ts'

/** A message's text and status as of the last picture: what was read, with what has streamed since. */
export function useMessageText({ id, content, status }: MessageFieldsFragment): {
  text: string
  status: MessageStatus
} {
  const { deltas } = useParley()
  const listen = useCallback((listener: () => void) => deltas.subscribe(id, listener), [deltas, id])
  const tail = useSyncExternalStore(listen, () => deltas.get(id))
  const isSettled = !isRunning(status)

  // Dropped only once the whole text is on the page: the cache and the store tell React at different times.
  useEffect(() => {
    if (isSettled) deltas.drop(id)
  }, [isSettled, deltas, id])

  if (isSettled || !tail) return { text: content, status }
  return { text: joinTail(content, tail), status: 'STREAMING' }
}
