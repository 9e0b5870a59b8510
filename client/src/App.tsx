import { useEffect, useState } from 'react'
import { Provider } from 'urql'
import { Route, Switch } from 'wouter'
import { createStore } from '../library/store.ts'
import type { KnownViewer } from './api/auth.ts'
import { createParley, ParleyContext, type Parley, type Viewer } from './api/parley.ts'
import { useStore } from './api/useStore.ts'
import { JoinPage } from './people/JoinPage.tsx'
import { SignInPage } from './people/SignInPage.tsx'
import { useSignIn } from './people/useSignIn.ts'
import { SessionPage } from './session/SessionPage.tsx'
import { StartPage } from './session/StartPage.tsx'
import { Announcer } from './ui/Announcer.tsx'
import { BackToStart } from './ui/BackToStart.tsx'
import { Frame } from './ui/Frame.tsx'
import { Notice } from './ui/Notice.tsx'
import { Shell } from './ui/Shell.tsx'
import { SignedOutBanner } from './ui/SignedOutBanner.tsx'

export function App({ known }: { known: KnownViewer }) {
  const { result, check, enter } = useSignIn(known)
  if (result?.state !== 'signedIn') return <SignInPage result={result} onToken={enter} onRetry={check} />
  return (
    <SignedIn key={result.viewer.id} viewer={result.viewer} isReplaced={result.isReplaced === true} onRefused={check} />
  )
}

interface SignedInProps {
  viewer: Viewer
  /** Someone else was signed in until now. */
  isReplaced: boolean
  /** The server no longer takes who one is. */
  onRefused: () => void
}

function SignedIn({ viewer, isReplaced, onRefused }: SignedInProps) {
  const [current] = useState(() => createStore<Parley | undefined>(undefined))
  const parley = useStore(current)
  useEffect(() => {
    const made = createParley(viewer)
    current.set(made)
    return made.close
  }, [current, viewer])
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
              <Shell>
                <Notice title="There is no such page" action={<BackToStart />}>
                  The address leads nowhere. Pick a session or begin a new one.
                </Notice>
              </Shell>
            </Route>
          </Switch>
        </Frame>
        <Announcer />
      </Provider>
    </ParleyContext>
  )
}
