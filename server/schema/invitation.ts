import { ForbiddenError, InvalidInputError, NotFoundError, RateLimitedError } from '../errors.ts'
import { inviteToSession } from '../resolvers/inviteToSession.ts'
import { joinSession } from '../resolvers/joinSession.ts'
import type { SessionRow } from '../storage/rows.ts'
import { builder } from './builder.ts'
import { resultUnion } from './errors.ts'
import { ParticipantRole } from './participant.ts'
import { Session } from './refs.ts'

const InviteToSessionInput = builder.inputType('InviteToSessionInput', {
  description: 'What to invite to, and as what.',
  fields: (t) => ({
    sessionId: t.id({ required: true, description: "One of the viewer's own sessions." }),
    role: t.field({
      type: ParticipantRole,
      required: true,
      defaultValue: 'MEMBER',
      description: 'MEMBER writes and reads, VIEWER reads. OWNER is refused: see `transferSession`.',
    }),
    expiresInSeconds: t.int({
      defaultValue: 604_800,
      description: 'Seconds for which it can be used: 1 to 31,536,000.',
    }),
    maxUses: t.int({ description: 'How many people may join by it, at least 1. Null: any number.' }),
  }),
})

const InviteToSessionSuccess = builder
  .objectRef<{ token: string; url: string; expiresAt: Date }>('InviteToSessionSuccess')
  .implement({
    description: 'An invitation.',
    fields: (t) => ({
      token: t.exposeString('token', {
        description: 'For `joinSession`. It is shown this once and stored only as a hash.',
      }),
      url: t.exposeString('url', {
        description:
          "To this server's page, by the host that it was asked at, with the token behind `#`: whoever opens it may join.",
      }),
      expiresAt: t.expose('expiresAt', { type: 'DateTime', description: 'Until when it can be used.' }),
    }),
  })

builder.mutationField('inviteToSession', (t) =>
  t.field({
    type: resultUnion('InviteToSessionResult', 'What became of `inviteToSession`.', InviteToSessionSuccess, [
      InvalidInputError,
      NotFoundError,
      ForbiddenError,
    ]),
    description:
      'Makes an invitation to a session: a token, and a link with it, by which whoever holds it may join until it ends. Only ' +
      "the session's owner may.",
    args: { input: t.arg({ type: InviteToSessionInput, required: true, description: 'What to, and as what.' }) },
    resolve: (_, { input }, ctx) => inviteToSession(ctx, input),
  }),
)

const JoinSessionInput = builder.inputType('JoinSessionInput', {
  description: 'By what to join.',
  fields: (t) => ({
    token: t.string({ required: true, description: 'From `inviteToSession`.' }),
  }),
})

const JoinSessionSuccess = builder.objectRef<{ session: SessionRow }>('JoinSessionSuccess').implement({
  description: 'The viewer takes part in the session.',
  fields: (t) => ({
    session: t.expose('session', { type: Session, description: 'The session that the invitation was for.' }),
  }),
})

builder.mutationField('joinSession', (t) =>
  t.field({
    type: resultUnion(
      'JoinSessionResult',
      'ForbiddenError for a token that is wrong, expired or used up; it tells nothing of the session.',
      JoinSessionSuccess,
      [ForbiddenError, RateLimitedError],
    ),
    description:
      'Makes the viewer a participant of the session that an invitation is for. Joining twice is joining once; the higher of two roles stays. Whom the owner has removed, or given another role, ' +
      'needs an invitation that was made after that.',
    args: { input: t.arg({ type: JoinSessionInput, required: true, description: 'By what to join.' }) },
    resolve: (_, { input }, ctx) => joinSession(ctx, input),
  }),
)
