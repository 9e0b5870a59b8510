import type { AuditRow as Row } from '../storage/rows.ts'
import { auditedAddress, auditedUser, auditLog } from '../resolvers/auditLog.ts'
import { builder } from './builder.ts'
import { connectionType, pageArgs } from './connection.ts'
import { describedEnum } from './describedEnum.ts'
import { ErrorCode } from './errors.ts'
import { User } from './user.ts'

const AuditEntry = builder.objectRef<Row>('AuditEntry').implement({
  description: 'Something that was done or refused. Never holds the text of a message, a title or a token.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'A UUID of version 7.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it ended.' }),
    action: t.exposeString('action', {
      description:
        'Name of the mutation; of the query or subscription that was refused; `signIn` for a token or key over a socket, ' +
        'or at the first sight of its user; `connect`, `operation` or `request` for what was refused before that was known; ' +
        '`refusals` for those of one address beyond what is kept one by one.',
    }),
    userId: t.exposeID('userId', { nullable: true, description: 'Who did it; null for the anonymous.' }),
    user: t.field({
      type: User,
      nullable: true,
      description:
        'Who did it; null for the anonymous, and where the viewer is no admin and the user does not take part in the session.',
      resolve: (entry, _args, ctx) => auditedUser(ctx, entry),
    }),
    address: t.string({
      nullable: true,
      description: "From which address; null where that is unknown, and of others' entries for all but admins.",
      resolve: (entry, _args, ctx) => auditedAddress(ctx, entry),
    }),
    requestId: t.exposeString('requestId', {
      nullable: true,
      description: "The request's id, which its answer and the log of the server carry as well.",
    }),
    sessionId: t.exposeID('sessionId', {
      nullable: true,
      description: 'The session that it was about, which may be gone or never have been.',
    }),
    subjectId: t.exposeID('subjectId', {
      nullable: true,
      description: 'What else it was done to: a message, a generation, a user, an invitation.',
    }),
    outcome: t.field({
      type: AuditOutcome,
      description: 'Whether it worked.',
      resolve: ({ errorCode }) => (errorCode === null ? 'SUCCEEDED' : 'FAILED'),
    }),
    errorCode: t.expose('errorCode', {
      type: ErrorCode,
      nullable: true,
      description: 'What went wrong; null where it worked.',
    }),
    durationMs: t.exposeInt('durationMs', { description: 'Milliseconds that it took.' }),
    times: t.exposeInt('times', {
      description: 'How often it happened: 1, or more where one entry stands for those that were too many in a minute.',
    }),
  }),
})

const AuditOutcome = describedEnum('AuditOutcome', 'Whether something worked.', {
  SUCCEEDED: 'It was done.',
  FAILED: 'It was refused or went wrong; `errorCode` says how.',
})

const AuditFilter = builder.inputType('AuditFilter', {
  description: 'Which entries: those that meet every given condition.',
  fields: (t) => ({
    userId: t.id({ description: 'Only what this user did.' }),
    sessionId: t.id({
      description:
        "Only what concerns this session; without it for admins, with it also for the session's owner, who sees nothing from before it was made.",
    }),
    action: t.string({ description: 'Only this action, e.g. `sendMessage`.' }),
    outcome: t.field({ type: AuditOutcome, description: 'Only what worked, or only what did not.' }),
    errorCode: t.field({ type: ErrorCode, description: 'Only what failed in this way.' }),
    from: t.field({ type: 'DateTime', description: 'Only from this moment on.' }),
    to: t.field({ type: 'DateTime', description: 'Only before this moment.' }),
  }),
})

builder.queryField('auditLog', (t) =>
  t.field({
    type: connectionType(AuditEntry, 'entries'),
    description:
      'What was done and what was refused, newest first: everything for admins, what concerns one of their sessions, since it was made, for its owner.',
    args: {
      filter: t.arg({ type: AuditFilter, description: 'Which entries; all where left out.' }),
      first: t.arg.int({ description: 'How many from the start, or after `after`: 0 to 200, 50 where left out.' }),
      after: t.arg.string({ description: pageArgs.after }),
    },
    resolve: (_, args, ctx) => auditLog(ctx, args),
  }),
)
