import { useEffect, useState } from 'react'
import type { MessageStatus } from '../../gql/graphql.ts'
import { useParley, type Announcement } from '../api/parley.ts'
import type { SessionEvent } from '../api/sessionUpdates.ts'
import { cutOf } from '../message/status.ts'
import { followSession, type Gone } from './followSession.ts'

export interface FollowState {
  gone: Gone | undefined
  /** The session could not be read so far. */
  isInTrouble: boolean
}

/** Follows a session for as long as it is shown, and says aloud when an answer begins and ends. */
export function useFollow(sessionId: string, onSignedOut: () => void): FollowState {
  const parley = useParley()
  const [gone, setGone] = useState<Gone>()
  const [isInTrouble, setTrouble] = useState(false)

  useEffect(() => {
    const { announcement } = parley
    return followSession(parley, sessionId, {
      onTrouble: setTrouble,
      onGone(reason) {
        setGone(reason)
        if (reason === 'signedOut') onSignedOut()
      },
      onEvent(event) {
        const next = announcementOf(event)
        if (next) announcement.set(next)
      },
    })
  }, [parley, sessionId, onSignedOut])

  return { gone, isInTrouble }
}

function announcementOf(event: SessionEvent): Announcement | undefined {
  switch (event.__typename) {
    case 'GenerationStarted':
      return { text: 'The answer begins.' }
    case 'GenerationEnded':
      return event.message.status === 'FAILED'
        ? { text: `The answer failed. ${event.message.error?.message ?? ''}`, isUrgent: true }
        : { text: cutOf(event.message) ?? endings[event.message.status] ?? 'The answer ended.' }
    case 'ParticipantJoined':
      return { text: `${event.participant.user.name} joined.` }
    case 'ParticipantLeft':
      return { text: `${event.user.name} left.` }
    default:
      return undefined
  }
}

const endings: Partial<Record<MessageStatus, string>> = {
  COMPLETE: 'The answer is complete.',
  STOPPED: 'The answer was stopped.',
  INTERRUPTED: 'The answer was interrupted.',
}
