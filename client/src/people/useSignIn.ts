import { useCallback, useEffect, useState } from 'react'
import type { TokenStore } from '../api/auth.ts'
import { signIn, type SignIn } from '../api/signIn.ts'
import { useStore } from '../api/useStore.ts'

export interface SignInState {
  result: SignIn | undefined
  /** Checks the token again, and signs in as a new guest where it is no longer good. */
  check(): void
}

/** Signs in by itself, once for all tabs of this browser. */
export function useSignIn(tokens: TokenStore): SignInState {
  const [result, setResult] = useState<SignIn>()
  const token = useStore(tokens)
  const [checks, setChecks] = useState(0)
  const check = useCallback(() => setChecks((count) => count + 1), [])

  useEffect(() => {
    let isCurrent = true
    void oneTabAtATime(async () => {
      // Another tab may have signed in while this one waited for its turn.
      const next = await signIn(tokens.get())
      if (next.state === 'signedIn') tokens.set(next.token)
      if (isCurrent) setResult((before) => (isSame(before, next) ? before : withReplaced(before, next)))
    })
    return () => {
      isCurrent = false
    }
  }, [tokens, token, checks])

  return { result, check }
}

function isSame(a: SignIn | undefined, b: SignIn): boolean {
  return a?.state === 'signedIn' && b.state === 'signedIn' && a.token === b.token
}

/** Also where another tab found out first that the token is no longer good. */
function withReplaced(before: SignIn | undefined, next: SignIn): SignIn {
  if (before?.state !== 'signedIn' || next.state !== 'signedIn') return next
  return { ...next, isReplaced: next.isReplaced || before.viewer.id !== next.viewer.id }
}

/** `navigator.locks` is missing on pages that came over plain http from another machine. */
function oneTabAtATime(work: () => Promise<void>): Promise<void> {
  return navigator.locks ? navigator.locks.request('parley.signIn', work) : work()
}
