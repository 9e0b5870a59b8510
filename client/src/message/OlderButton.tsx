import { useCallback, useEffect, useRef, useState } from 'react'
import { sentenceOf } from '../api/errors.ts'
import { useParley } from '../api/parley.ts'
import { Button } from '../ui/Button.tsx'
import { OlderMessages } from './operations.ts'

/** Loads the page before the first message when it comes into view, or when it is pressed. */
export function OlderButton({ sessionId, before }: { sessionId: string; before: string }) {
  const { client } = useParley()
  const [isLoading, setLoading] = useState(false)
  const [failure, setFailure] = useState<string>()
  const button = useRef<HTMLButtonElement>(null)

  const load = useCallback(async () => {
    setLoading(true)
    const { error } = await client.query(OlderMessages, { id: sessionId, before }, { requestPolicy: 'network-only' })
    setFailure(error && sentenceOf(error))
    setLoading(false)
  }, [client, sessionId, before])

  useEffect(() => {
    if (!button.current || failure !== undefined) return
    const observer = new IntersectionObserver(([entry]) => {
      if (entry?.isIntersecting) void load()
    })
    // Not before the conversation has been scrolled to its end.
    const timer = setTimeout(() => button.current && observer.observe(button.current), 300)
    return () => {
      clearTimeout(timer)
      observer.disconnect()
    }
  }, [load, failure])

  return (
    <>
      {failure && (
        <p role="alert" className="-mt-5 truncate text-sm text-danger">
          {failure}
        </p>
      )}
      <Button ref={button} look="quiet" disabled={isLoading} onClick={() => void load()}>
        {isLoading ? 'Loading…' : 'Load older messages'}
      </Button>
    </>
  )
}
