import { useCallback, useEffect, useState } from 'react'
import type { KnownViewer } from '../api/auth.ts'
import { signIn, signInBy, type SignIn } from '../api/signIn.ts'

export interface SignInState {
  result: SignIn | undefined
  /** Asks again who is signed in, and signs in as a new guest where nobody is any more. */
  check(): void
  /** Signs in by a token from elsewhere. */
  enter(token: string): void
}

/** Signs in by itself, once for all tabs of this browser. */
export function useSignIn(known: KnownViewer): SignInState {
  const [result, setResult] = useState<SignIn>()
  /** A new object for each time that is asked. */
  const [asked, setAsked] = useState<{ token?: string }>({})
  const check = useCallback(() => setAsked({}), [])
  const enter = useCallback((token: string) => setAsked({ token }), [])

  useEffect(() => known.onChange(check), [known, check])
  useEffect(() => {
    let isCurrent = true
    void oneTabAtATime(async () => {
      if (!isCurrent) return
      // Another tab may have signed in while this one waited for its turn.
      const next = asked.token === undefined ? await signInHere(known) : await signInBy(asked.token)
      if (next.state === 'signedIn') known.set(next.viewer.id)
      if (isCurrent) setResult((before) => (isSame(before, next) ? before : withReplaced(before, next)))
    })
    return () => {
      isCurrent = false
    }
  }, [known, asked])

  return { result, check, enter }
}

async function signInHere(known: KnownViewer): Promise<SignIn> {
  const former = known.formerToken()
  if (former === undefined) return signIn(known.get())
  const moved = await signInBy(former)
  if (moved.state === 'failed') return moved
  known.forgetFormerToken()
  // even a token that is no longer good says that someone was signed in
  return moved.state === 'signedIn' ? moved : signIn(known.get() ?? '')
}

function isSame(a: SignIn | undefined, b: SignIn): boolean {
  return a?.state === 'signedIn' && b.state === 'signedIn' && a.viewer.id === b.viewer.id
}

/** Also where another tab found out first that nobody is signed in any more. */
function withReplaced(before: SignIn | undefined, next: SignIn): SignIn {
  if (before?.state !== 'signedIn' || next.state !== 'signedIn') return next
  return { ...next, isReplaced: next.isReplaced || before.viewer.id !== next.viewer.id }
}

/** `navigator.locks` is missing on pages that came over plain http from another machine. */
function oneTabAtATime(work: () => Promise<void>): Promise<void> {
  return navigator.locks ? navigator.locks.request('parley.signIn', work) : work()
}
