import { useEffect, useState } from 'react'
import type { SignIn } from '../api/signIn.ts'
import { Button } from '../ui/Button.tsx'

export interface SignInPageProps {
  result: SignIn | undefined
  onToken: (token: string) => void
  onRetry: () => void
}

/** Seen while signing in takes a moment, and where it doesn't work by itself. */
export function SignInPage({ result, onToken, onRetry }: SignInPageProps) {
  useEffect(() => {
    if (result?.state !== 'failed') return
    const timer = setTimeout(onRetry, 3_000 + Math.random() * 4_000)
    return () => clearTimeout(timer)
  }, [result, onRetry])

  return (
    <main className="grid min-h-dvh place-items-center p-6">
      <div className="w-full max-w-sm text-center">
        <h1 className="text-2xl font-semibold">Parley</h1>
        {result?.state === 'needsToken' ? (
          <TokenForm message={result.message} onToken={onToken} />
        ) : result?.state === 'failed' ? (
          <div role="alert" className="mt-3 space-y-4">
            <p className="text-muted">{result.message} Trying again by itself, too.</p>
            <Button onClick={onRetry}>Try again</Button>
          </div>
        ) : (
          <p role="status" className="mt-3 text-muted">
            Connecting…
          </p>
        )}
      </div>
    </main>
  )
}

function TokenForm({ message, onToken }: { message: string; onToken: (token: string) => void }) {
  const [token, setToken] = useState('')
  return (
    <form
      className="mt-3 space-y-3 text-left"
      onSubmit={(event) => {
        event.preventDefault()
        if (token.trim()) onToken(token.trim())
      }}
    >
      <p className="text-muted">{message}</p>
      <label className="block text-sm font-medium">
        Access token
        <input
          dir="auto"
          type="password"
          autoComplete="off"
          value={token}
          onChange={(event) => setToken(event.target.value)}
          className="field mt-1"
        />
      </label>
      <Button type="submit" look="primary">
        Sign in
      </Button>
    </form>
  )
}
