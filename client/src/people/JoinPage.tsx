import { useEffect, useState } from 'react'
import { useLocation } from 'wouter'
import { outcomeOf } from '../api/errors.ts'
import { useParley } from '../api/parley.ts'
import { Button } from '../ui/Button.tsx'
import { BackToStart } from '../ui/BackToStart.tsx'
import { Notice } from '../ui/Notice.tsx'
import { Shell } from '../ui/Shell.tsx'
import { tokenOfInvitation } from './invitation.ts'
import { JoinSession } from './operations.ts'

/** Where an invitation link leads: joins, then opens the session. */
export function JoinPage() {
  const { client } = useParley()
  const [, navigate] = useLocation()
  const [token] = useState(() => tokenOfInvitation(location.hash))
  const [failure, setFailure] = useState(token ? undefined : 'This link lacks its invitation. Ask for a new one.')
  const [tries, setTries] = useState(0)

  useEffect(() => {
    if (!token) return
    let isCurrent = true
    void client.mutation(JoinSession, { input: { token } }).then(({ data, error }) => {
      if (!isCurrent) return
      const outcome = outcomeOf(data?.joinSession, error)
      if (outcome.ok) navigate(`/s/${outcome.value.session.id}`, { replace: true })
      else setFailure(outcome.message)
    })
    return () => {
      isCurrent = false
    }
  }, [client, navigate, token, tries])

  function tryAgain() {
    setFailure(undefined)
    setTries(tries + 1)
  }

  if (failure === undefined) {
    return (
      <p role="status" className="m-auto text-muted">
        Joining…
      </p>
    )
  }
  return (
    <Shell>
      <Notice
        title="Couldn’t join"
        isAlert
        action={
          <span className="inline-flex gap-2">
            {token && <Button onClick={tryAgain}>Try again</Button>}
            <BackToStart />
          </span>
        }
      >
        {failure}
      </Notice>
    </Shell>
  )
}
