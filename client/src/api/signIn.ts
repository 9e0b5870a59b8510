import { Client, fetchExchange, type CombinedError } from 'urql'
import { SignIn as SignInMutation, SignInAsGuest, Viewer as ViewerQuery } from '../people/operations.ts'
import { outcomeOf, sentenceOf } from './errors.ts'
import type { Viewer } from './parley.ts'

export type SignIn =
  | {
      state: 'signedIn'
      viewer: Viewer
      /** Someone else was signed in until now. */
      isReplaced?: boolean
    }
  /** The server takes only tokens from elsewhere. */
  | { state: 'needsToken'; message: string }
  | { state: 'failed'; message: string }

/**
 * Who the browser's cookie says, or a new guest where it says nobody, or nobody any more.
 * @param formerId who was signed in before, as far as is known
 */
export async function signIn(formerId: string | undefined): Promise<SignIn> {
  const { data, error } = await newClient().query(ViewerQuery, {})
  if (error) return failed(error)
  const next = data?.viewer ? signedIn(data.viewer) : await signInAsGuest()
  const isReplaced = next.state === 'signedIn' && formerId !== undefined && next.viewer.id !== formerId
  return isReplaced ? { ...next, isReplaced } : next
}

/** Has the browser keep a token from elsewhere. */
export async function signInBy(token: string): Promise<SignIn> {
  const { data, error } = await newClient().mutation(SignInMutation, { input: { token } })
  const outcome = outcomeOf(data?.signIn, error)
  if (outcome.ok) return signedIn(outcome.value.user)
  return outcome.code === 'INVALID_INPUT'
    ? { state: 'needsToken', message: 'The server doesn’t take this token. Ask for another one.' }
    : { state: 'failed', message: outcome.message }
}

async function signInAsGuest(): Promise<SignIn> {
  const name = `Guest ${1000 + Math.floor(Math.random() * 9000)}`
  const { data, error } = await newClient().mutation(SignInAsGuest, { input: { name, keepInCookie: true } })
  const outcome = outcomeOf(data?.signInAsGuest, error)
  if (outcome.ok) return signedIn(outcome.value.user)
  return { state: outcome.code === 'FORBIDDEN' ? 'needsToken' : 'failed', message: outcome.message }
}

const signedIn = (viewer: Viewer): SignIn => ({ state: 'signedIn', viewer })
const failed = (error: CombinedError): SignIn => ({ state: 'failed', message: sentenceOf(error) })

/** One that remembers nothing of who asked before. */
const newClient = () => new Client({ url: '/graphql', preferGetMethod: false, exchanges: [fetchExchange] })
