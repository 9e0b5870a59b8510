import { useCallback, useState } from 'react'
import type { MessageFieldsFragment } from '../../gql/graphql.ts'
import { outcomeOf } from '../api/errors.ts'
import { useParley } from '../api/parley.ts'
import { StopGeneration } from './operations.ts'

export interface StopState {
  stop(running: readonly MessageFieldsFragment[]): void
  isStopping: boolean
  failure: string | undefined
}

/** Stops answers that are being written. */
export function useStop(): StopState {
  const { client } = useParley()
  const [isStopping, setStopping] = useState(false)
  const [failure, setFailure] = useState<string>()

  const stopAll = useCallback(
    async (running: readonly MessageFieldsFragment[]) => {
      setStopping(true)
      setFailure(undefined)
      const results = await Promise.all(
        running.map(({ generation }) => client.mutation(StopGeneration, { input: { generationId: generation!.id } })),
      )
      for (const { data, error } of results) {
        const outcome = outcomeOf(data?.stopGeneration, error)
        // One that ended meanwhile needs no stopping.
        if (!outcome.ok && outcome.code !== 'NOT_FOUND') setFailure(outcome.message)
      }
      setStopping(false)
    },
    [client],
  )
  const stop = useCallback((running: readonly MessageFieldsFragment[]) => void stopAll(running), [stopAll])

  return { stop, isStopping, failure }
}
