import { setTimeout as delay } from 'node:timers/promises'
import type { AnyVariables, CombinedError, OperationResult, TypedDocumentNode } from '@urql/core'
import type { SessionPageQuery } from '../gql/graphql.ts'
import type { ParleyClient } from '../library/client.ts'
import { uuidv7 } from '../library/uuid.ts'
import { InviteToSession, JoinSession, SignInAsGuest, Viewer } from '../src/people/operations.ts'
import { CreateSession, SessionPage } from '../src/session/operations.ts'
import type { GuestTokens } from './guestTokens.ts'
import type { Options } from './options.ts'

export type Session = NonNullable<SessionPageQuery['session']>

export interface Entrance {
  client: ParleyClient
  options: Options
  guests: GuestTokens
  /** From now on the client is who the token says. */
  setToken(token: string | undefined): void
  /** Told once when the server can't be reached; it is tried again until it can, or for so long. */
  onTrouble(text: string): void
  patienceMs: number
}

/** The viewer: of the token that was given, or the guest of this name, who is made where there is none. */
export async function signIn(entrance: Entrance): Promise<{ id: string; name: string }> {
  const { options, guests, setToken } = entrance
  const name = options.name ?? 'Guest'
  const saved = options.token ?? (await guests.read(options.url, name))
  if (saved !== undefined) {
    setToken(saved)
    const { data, error } = await ask(entrance, Viewer, {})
    if (data?.viewer) return data.viewer
    if (options.token !== undefined) throw new Error(sentenceOf(error))
    setToken(undefined)
  }
  const { data, error } = await ask(entrance, SignInAsGuest, { input: { name } })
  const { token, user } = successOf(data?.signInAsGuest, error)
  setToken(token)
  await guests.write(options.url, name, token)
  return user
}

/** The session that was asked for, or a new one, with its newest messages. */
export async function enterSession(entrance: Entrance): Promise<Session> {
  const { data, error } = await ask(entrance, SessionPage, { id: await sessionIdFor(entrance) })
  if (!data?.session) throw new Error(error ? sentenceOf(error) : 'There is no such session, or you may not read it.')
  return data.session
}

async function sessionIdFor(entrance: Entrance): Promise<string> {
  const { sessionId, invitation } = entrance.options
  if (sessionId !== undefined) return sessionId
  if (invitation !== undefined) {
    const { data, error } = await ask(entrance, JoinSession, { input: { token: invitation } })
    return successOf(data?.joinSession, error).session.id
  }
  // The id makes a repeat harmless.
  const { data, error } = await ask(entrance, CreateSession, { input: { id: uuidv7() } })
  return successOf(data?.createSession, error).session.id
}

/** A link by which others can join. */
export async function invite(entrance: Entrance, sessionId: string): Promise<string> {
  const { data, error } = await ask(entrance, InviteToSession, { input: { sessionId } })
  const { token } = successOf(data?.inviteToSession, error)
  return `${new URL(entrance.options.url).origin}/join#token=${encodeURIComponent(token)}`
}

/** Asks until the server is there to answer; throws once there was none for `patienceMs`. */
async function ask<Data, Variables extends AnyVariables>(
  { client, options, onTrouble, patienceMs }: Entrance,
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
): Promise<OperationResult<Data, Variables>> {
  const isMutation = document.definitions.some(
    (definition) => definition.kind === 'OperationDefinition' && definition.operation === 'mutation',
  )
  const startedAt = performance.now()
  for (let failures = 0; ; failures++) {
    const result = await (isMutation ? client.mutation(document, variables) : client.query(document, variables))
    if (!result.error?.networkError) return result
    const leftMs = patienceMs - (performance.now() - startedAt)
    if (leftMs <= 0) throw new Error(`The server at ${options.url} can’t be reached.`)
    if (failures === 0) onTrouble('The server can’t be reached. Trying again; Ctrl-C gives up.')
    await Promise.race([client.connection.wait(failures), ...(leftMs < Infinity ? [delay(leftMs)] : [])])
  }
}

function successOf<M extends object>(member: M | undefined, error: CombinedError | undefined) {
  if (member && !('code' in member)) return member as Exclude<M, { code: unknown }>
  throw new Error((member as { message?: string } | undefined)?.message ?? sentenceOf(error))
}

function sentenceOf(error: CombinedError | undefined): string {
  return error?.graphQLErrors[0]?.message ?? error?.message ?? 'The server gave no answer.'
}
