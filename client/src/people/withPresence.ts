import type { ParticipantFieldsFragment, ParticipantRole } from '../../gql/graphql.ts'

const order: Record<ParticipantRole, number> = { OWNER: 0, MEMBER: 1, VIEWER: 2 }

/** The participants with what the newest presence events said, the owner first. Whoever looks at the page is here. */
export function withPresence(
  session: { id: string; participants: readonly ParticipantFieldsFragment[] },
  online: ReadonlyMap<string, boolean>,
  viewerId: string,
): ParticipantFieldsFragment[] {
  return session.participants
    .map((participant) => ({
      ...participant,
      isOnline:
        participant.user.id === viewerId ||
        (online.get(`${session.id} ${participant.user.id}`) ?? participant.isOnline),
    }))
    .sort((a, b) => order[a.role] - order[b.role])
}
