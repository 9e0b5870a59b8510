import { useQuery } from 'urql'
import type { ProvidersQuery } from '../../gql/graphql.ts'
import { outcomeOf } from '../api/errors.ts'
import { useParley } from '../api/parley.ts'
import { Providers, UpdateSession } from './operations.ts'
import type { OpenSession } from './SessionHeader.tsx'

export interface ModelPickerProps {
  session: OpenSession
  isDisabled: boolean
  onFailure: (message: string | undefined) => void
}

type Provider = ProvidersQuery['providers'][number]

const statusWords: Record<Provider['status'], string> = {
  UP: '',
  DEGRADED: ' (degraded)',
  DOWN: ' (down)',
  UNKNOWN: '',
}

/** The model that answers next, for everyone in the session. */
export function ModelPicker({ session, isDisabled, onFailure }: ModelPickerProps) {
  const { client } = useParley()
  const [{ data }, refetch] = useQuery({ query: Providers, requestPolicy: 'cache-and-network' })
  const providers = withCurrent(data?.providers ?? [], session.model)

  async function choose(model: string) {
    const result = await client.mutation(UpdateSession, { input: { sessionId: session.id, model } })
    const outcome = outcomeOf(result.data?.updateSession, result.error)
    onFailure(outcome.ok ? undefined : outcome.message)
  }

  return (
    <select
      aria-label="Model"
      title={isDisabled ? 'The owner chooses the model' : 'Model'}
      value={session.model.id}
      disabled={isDisabled}
      onFocus={() => refetch({ requestPolicy: 'cache-and-network' })}
      onChange={(event) => void choose(event.target.value)}
      className="h-9 max-w-52 min-w-0 truncate rounded-lg border border-line bg-raised px-2 text-sm disabled:opacity-70"
    >
      {providers.map((provider) => (
        <optgroup key={provider.name} label={provider.name + statusWords[provider.status]}>
          {provider.models.map((model) => (
            <option key={model.id} value={model.id}>
              {model.name}
            </option>
          ))}
          {provider.models.length === 0 && <option disabled>No models</option>}
        </optgroup>
      ))}
    </select>
  )
}

/** The session's model stays in the list although its provider doesn't name it now. */
function withCurrent(providers: readonly Provider[], current: OpenSession['model']): readonly Provider[] {
  if (providers.some(({ models }) => models.some(({ id }) => id === current.id))) return providers
  const { name } = current.provider
  const own = providers.find((provider) => provider.name === name) ?? { status: 'UNKNOWN', models: [] }
  return [{ name, status: own.status, models: [current, ...own.models] }, ...providers.filter((p) => p.name !== name)]
}
