import { Client, fetchExchange } from 'urql'
import { SignInAsGuest, Viewer as ViewerQuery } from '../people/operations.ts'
import { codeOf, outcomeOf, sentenceOf } from './errors.ts'
import type { Viewer } from './parley.ts'

export type SignIn =
  | {
      state: 'signedIn'
      viewer: Viewer
      token: string
      /** Someone else was signed in until now. */
      isReplaced?: boolean
    }
  /** The server takes only tokens from elsewhere. */
  | { state: 'needsToken'; message: string }
  | { state: 'failed'; message: string }

/** Who the token says, or a new guest where there is no token or the server doesn't know it any more. */
export async function signIn(token: string | undefined): Promise<SignIn> {
  if (token !== undefined) {
    const { data, error } = await clientFor(token).query(ViewerQuery, {})
    if (data?.viewer) return { state: 'signedIn', viewer: data.viewer, token }
    if (error && codeOf(error) !== 'UNAUTHENTICATED') return { state: 'failed', message: sentenceOf(error) }
    const next = await signInAsGuest()
    return next.state === 'signedIn' ? { ...next, isReplaced: true } : next
  }
  return signInAsGuest()
}

async function signInAsGuest(): Promise<SignIn> {
  const name = `Guest ${1000 + Math.floor(Math.random() * 9000)}`
  const { data, error } = await clientFor().mutation(SignInAsGuest, { input: { name } })
  const outcome = outcomeOf(data?.signInAsGuest, error)
  if (outcome.ok) return { state: 'signedIn', viewer: outcome.value.user, token: outcome.value.token }
  return { state: outcome.code === 'FORBIDDEN' ? 'needsToken' : 'failed', message: outcome.message }
}

function clientFor(token?: string): Client {
  return new Client({
    url: '/graphql',
    preferGetMethod: false,
    exchanges: [fetchExchange],
    fetchOptions: token ? { headers: { authorization: `Bearer ${token}` } } : {},
  })
}
