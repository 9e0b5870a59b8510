import { useCallback, useState } from 'react'
import { uuidv7 } from '../../library/uuid.ts'
import { outcomeOf } from '../api/errors.ts'
import { useParley } from '../api/parley.ts'
import { CreateSession } from './operations.ts'

export interface CreateSessionState {
  /** The new session's id; undefined where it failed, and `failure` says why. */
  create(): Promise<string | undefined>
  isCreating: boolean
  failure: string | undefined
}

export function useCreateSession(): CreateSessionState {
  const { client } = useParley()
  const [isCreating, setCreating] = useState(false)
  const [failure, setFailure] = useState<string>()

  const create = useCallback(async () => {
    setCreating(true)
    setFailure(undefined)
    const { data, error } = await client.mutation(CreateSession, { input: { id: uuidv7() } })
    const outcome = outcomeOf(data?.createSession, error)
    setCreating(false)
    if (outcome.ok) return outcome.value.session.id
    setFailure(outcome.message)
    return undefined
  }, [client])

  return { create, isCreating, failure }
}
