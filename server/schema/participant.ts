import type { ParticipantRole as Role } from '../entities/participant.ts'
import { ForbiddenError, InvalidInputError, NotFoundError } from '../errors.ts'
import { changeParticipantRole, leaveSession, removeParticipant, transferSession } from '../resolvers/participants.ts'
import type { ParticipantRow, SessionRow } from '../storage/rows.ts'
import { builder } from './builder.ts'
import { describedEnum } from './describedEnum.ts'
import { resultUnion } from './errors.ts'
import { Session } from './refs.ts'
import { User } from './user.ts'

export const ParticipantRole = describedEnum<Role>('ParticipantRole', 'What someone may do in a session.', {
  OWNER: 'Everything: also settings, invitations, roles and deletion. Each session has exactly one.',
  MEMBER: 'Reads and writes.',
  VIEWER: 'Reads.',
})

export const Participant = builder.objectRef<ParticipantRow>('Participant').implement({
  description: 'Someone who takes part in a session.',
  fields: (t) => ({
    id: t.id({
      description:
        'Stable, for caches: of this person in this session, as `sessionId:userId`. Unlike other ids no UUID, and nothing that `node` finds.',
      resolve: ({ sessionId, userId }) => `${sessionId}:${userId}`,
    }),
    user: t.field({
      type: User,
      description: 'Who it is.',
      resolve: ({ userId }, _args, ctx) => ctx.loaders.user.load(userId),
    }),
    role: t.expose('role', { type: ParticipantRole, description: 'What they may do.' }),
    joinedAt: t.expose('joinedAt', { type: 'DateTime', description: 'When they came to the session.' }),
    lastSeenAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'Last time this person was connected or wrote; null if never.',
      resolve: async ({ userId }, _args, ctx) => (await ctx.loaders.user.load(userId)).lastSeenAt,
    }),
    isOnline: t.boolean({
      description: 'Whether they have a connection open now, on any node.',
      resolve: ({ userId }, _args, ctx) => ctx.loaders.online.load(userId),
    }),
  }),
})

const LeaveSessionInput = builder.inputType('LeaveSessionInput', {
  description: 'What to leave.',
  fields: (t) => ({
    sessionId: t.id({ required: true, description: 'A session that the viewer joined.' }),
  }),
})

const LeaveSessionSuccess = builder.objectRef<{ sessionId: string }>('LeaveSessionSuccess').implement({
  description: 'The viewer is no longer in the session.',
  fields: (t) => ({
    sessionId: t.exposeID('sessionId', { description: 'The session that was left.' }),
  }),
})

builder.mutationField('leaveSession', (t) =>
  t.field({
    type: resultUnion('LeaveSessionResult', 'What became of `leaveSession`.', LeaveSessionSuccess, [
      NotFoundError,
      ForbiddenError,
    ]),
    description:
      "Takes the viewer out of a session that they joined. Its owner can't leave it: they hand it over by `transferSession`, or delete it.",
    args: { input: t.arg({ type: LeaveSessionInput, required: true, description: 'What to leave.' }) },
    resolve: (_, { input }, ctx) => leaveSession(ctx, input),
  }),
)

const RemoveParticipantInput = builder.inputType('RemoveParticipantInput', {
  description: 'Whom to remove, and from what.',
  fields: (t) => ({
    sessionId: t.id({ required: true, description: "One of the viewer's own sessions." }),
    userId: t.id({ required: true, description: 'A participant other than the owner.' }),
  }),
})

const RemoveParticipantSuccess = builder.objectRef<{ session: SessionRow }>('RemoveParticipantSuccess').implement({
  description: 'The participant is removed.',
  fields: (t) => ({
    session: t.expose('session', { type: Session, description: 'The session as it is now.' }),
  }),
})

builder.mutationField('removeParticipant', (t) =>
  t.field({
    type: resultUnion('RemoveParticipantResult', 'What became of `removeParticipant`.', RemoveParticipantSuccess, [
      NotFoundError,
      ForbiddenError,
    ]),
    description:
      'Takes someone out of a session; their open subscriptions to it end within a second. They can come back only by an ' +
      'invitation that is made later. Only its owner may.',
    args: { input: t.arg({ type: RemoveParticipantInput, required: true, description: 'Whom, and from what.' }) },
    resolve: (_, { input }, ctx) => removeParticipant(ctx, input),
  }),
)

const ChangeParticipantRoleInput = builder.inputType('ChangeParticipantRoleInput', {
  description: 'Whose role to change, and to what.',
  fields: (t) => ({
    sessionId: t.id({ required: true, description: "One of the viewer's own sessions." }),
    userId: t.id({ required: true, description: 'A participant other than the owner.' }),
    role: t.field({ type: ParticipantRole, required: true, description: 'MEMBER or VIEWER.' }),
  }),
})

const ChangeParticipantRoleSuccess = builder
  .objectRef<{ participant: ParticipantRow }>('ChangeParticipantRoleSuccess')
  .implement({
    description: 'The participant has the role.',
    fields: (t) => ({
      participant: t.expose('participant', { type: Participant, description: 'The participant as they are now.' }),
    }),
  })

builder.mutationField('changeParticipantRole', (t) =>
  t.field({
    type: resultUnion(
      'ChangeParticipantRoleResult',
      'What became of `changeParticipantRole`.',
      ChangeParticipantRoleSuccess,
      [InvalidInputError, NotFoundError, ForbiddenError],
    ),
    description:
      'Lets a participant of a session write (MEMBER) or only read (VIEWER); takes effect at once. To make somebody else its ' +
      'owner there is `transferSession`. Only its owner may.',
    args: { input: t.arg({ type: ChangeParticipantRoleInput, required: true, description: 'Whose role, and which.' }) },
    resolve: (_, { input }, ctx) => changeParticipantRole(ctx, input),
  }),
)

const TransferSessionInput = builder.inputType('TransferSessionInput', {
  description: 'What to hand over, and to whom.',
  fields: (t) => ({
    sessionId: t.id({ required: true, description: "One of the viewer's own sessions." }),
    userId: t.id({ required: true, description: 'A participant, of whichever role, other than the viewer.' }),
  }),
})

const TransferSessionSuccess = builder.objectRef<{ session: SessionRow }>('TransferSessionSuccess').implement({
  description: 'The session has another owner.',
  fields: (t) => ({
    session: t.expose('session', { type: Session, description: 'The session as it is now.' }),
  }),
})

builder.mutationField('transferSession', (t) =>
  t.field({
    type: resultUnion('TransferSessionResult', 'What became of `transferSession`.', TransferSessionSuccess, [
      InvalidInputError,
      NotFoundError,
      ForbiddenError,
    ]),
    description:
      'Makes another participant the owner of a session; the viewer stays in it as a member. Only its owner may. Followers ' +
      'are told by a ParticipantChanged for each of the two, and a SessionUpdated.',
    args: { input: t.arg({ type: TransferSessionInput, required: true, description: 'What, and to whom.' }) },
    resolve: (_, { input }, ctx) => transferSession(ctx, input),
  }),
)
