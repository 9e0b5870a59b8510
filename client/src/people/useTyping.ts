import { useEffect, useMemo } from 'react'
import { useParley } from '../api/parley.ts'
import { SetTyping } from './operations.ts'

const repeatEveryMs = 3_000

export interface Typing {
  /** On every change of the text. */
  onWriting(): void
  /** When it was sent, emptied or left. */
  onPause(): void
}

/** Tells the others that the viewer types, every three seconds at most, and when they stopped. */
export function useTyping(sessionId: string): Typing {
  const { client } = useParley()
  const typing = useMemo(
    () => createTyping((isTyping) => void client.mutation(SetTyping, { input: { sessionId, isTyping } }).toPromise()),
    [client, sessionId],
  )
  useEffect(() => () => typing.onPause(), [typing])
  return typing
}

function createTyping(tell: (isTyping: boolean) => void): Typing {
  let toldAtMs: number | undefined
  return {
    onWriting() {
      const nowMs = Date.now()
      if (toldAtMs !== undefined && nowMs - toldAtMs < repeatEveryMs) return
      toldAtMs = nowMs
      tell(true)
    },
    onPause() {
      if (toldAtMs === undefined) return
      toldAtMs = undefined
      tell(false)
    },
  }
}
