import { useEffect, useState } from 'react'
import { Provider } from 'urql'
import { Route, Switch } from 'wouter'
import { createStore } from '../library/store.ts'
import type { TokenStore } from './api/auth.ts'
import { createParley, ParleyContext, type Parley, type Viewer } from './api/parley.ts'
import { useStore } from './api/useStore.ts'
import { JoinPage } from './people/JoinPage.tsx'
import { SignInPage } from './people/SignInPage.tsx'
import { useSignIn } from './people/useSignIn.ts'
import { SessionPage } from './session/SessionPage.tsx'
import { StartPage } from './session/StartPage.tsx'
import { Announcer } from './ui/Announcer.tsx'
import { Frame } from './ui/Frame.tsx'
import { Notice } from './ui/Notice.tsx'
import { SignedOutBanner } from './ui/SignedOutBanner.tsx'

export function App({ tokens }: { tokens: TokenStore }) {
  const { result, check } = useSignIn(tokens)
  if (result?.state !== 'signedIn') return <SignInPage result={result} onToken={tokens.set} onRetry={check} />
  return (
    <SignedIn
      key={result.token}
      viewer={result.viewer}
      token={result.token}
      isReplaced={result.isReplaced === true}
      onRefused={check}
    />
  )
}

interface SignedInProps {
  viewer: Viewer
  token: string
  /** Someone else was signed in until now. */
  isReplaced: boolean
  /** The server no longer takes the token. */
  onRefused: () => void
}

function SignedIn({ viewer, token, isReplaced, onRefused }: SignedInProps) {
  const [current] = useState(() => createStore<Parley | undefined>(undefined))
  const parley = useStore(current)
  useEffect(() => {
    const made = createParley(viewer, token)
    current.set(made)
    return made.close
  }, [current, viewer, token])
  return parley && <Pages parley={parley} isReplaced={isReplaced} onRefused={onRefused} />
}

function Pages({
  parley,
  isReplaced,
  onRefused,
}: Pick<SignedInProps, 'isReplaced' | 'onRefused'> & { parley: Parley }) {
  const closeCode = useStore(parley.connection.lastCloseCode)
  useEffect(() => {
    if (closeCode === 4401 || closeCode === 4403) onRefused()
  }, [closeCode, onRefused])

  return (
    <ParleyContext value={parley}>
      <Provider value={parley.client}>
        <Frame notice={isReplaced && <SignedOutBanner name={parley.viewer.name} />}>
          <Switch>
            <Route path="/" component={StartPage} />
            <Route path="/join" component={JoinPage} />
            <Route path="/s/:id">{({ id }) => <SessionPage key={id} id={id} onSignedOut={onRefused} />}</Route>
            <Route>
              <Notice title="There is no such page">
                The address leads nowhere. Pick a session or begin a new one.
              </Notice>
            </Route>
          </Switch>
        </Frame>
        <Announcer />
      </Provider>
    </ParleyContext>
  )
}
