import type { UserRow } from '../storage/rows.ts'
import { signIn, signInAsGuest, viewer } from '../resolvers/viewer.ts'
import { deleteViewer, updateViewer } from '../resolvers/account.ts'
import { signOut } from '../resolvers/signOut.ts'
import { ForbiddenError, InvalidInputError, RateLimitedError } from '../errors.ts'
import { builder } from './builder.ts'
import { resultUnion } from './errors.ts'
import { Node } from './node.ts'

export const User = builder.objectRef<UserRow>('User')

User.implement({
  description: 'A person, whether guest or known to an identity provider.',
  interfaces: [Node],
  fields: (t) => ({
    name: t.exposeString('name', { description: 'What others see them called.' }),
    isAdmin: t.boolean({
      description: 'Whether they run this server.',
      // the viewer may ask by a key that is not good for it
      resolve: (user, _, ctx) => user.isAdmin || (user !== ctx.viewer && ctx.identity.isNamedAdmin(user)),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When they were first seen here.' }),
  }),
})

builder.queryField('viewer', (t) =>
  t.field({
    type: User,
    nullable: true,
    description: 'Who is asking; null for the anonymous.',
    resolve: (_source, _args, ctx) => viewer(ctx),
  }),
)

const SignInAsGuestInput = builder.inputType('SignInAsGuestInput', {
  description: 'Who wants to come in.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'What others shall see you called: 1 to 100 characters.' }),
    keepInCookie: t.boolean({
      defaultValue: false,
      description:
        "For this server's own pages, over HTTP: the browser keeps the token in a cookie that no script can read, and `token` is empty.",
    }),
  }),
})

const SignInAsGuestSuccess = builder
  .objectRef<{ token: string; user: UserRow; expiresAt: Date }>('SignInAsGuestSuccess')
  .implement({
    description: 'A new account.',
    fields: (t) => ({
      token: t.exposeString('token', {
        description:
          'Bearer token for `Authorization`, or for `connectionParams.authorization` over WebSocket. Valid for 30 days. Empty where it was kept in a cookie.',
      }),
      user: t.expose('user', { type: User, description: 'The new user.' }),
      expiresAt: t.expose('expiresAt', { type: 'DateTime', description: 'When the token ends.' }),
    }),
  })

builder.mutationField('signInAsGuest', (t) =>
  t.field({
    type: resultUnion('SignInAsGuestResult', 'What became of `signInAsGuest`.', SignInAsGuestSuccess, [
      InvalidInputError,
      ForbiddenError,
      RateLimitedError,
    ]),
    description: 'For a server that runs with AUTH=guest: makes a user and a token for them.',
    args: { input: t.arg({ type: SignInAsGuestInput, required: true, description: 'Who wants to come in.' }) },
    resolve: (_, { input }, ctx) => signInAsGuest(ctx, input),
  }),
)

const SignInInput = builder.inputType('SignInInput', {
  description: 'Who is there.',
  fields: (t) => ({ token: t.string({ required: true, description: 'A token as in `Authorization`; no API key.' }) }),
})

const SignInSuccess = builder.objectRef<{ user: UserRow; expiresAt: Date }>('SignInSuccess').implement({
  description: "The browser keeps the token, and sends it with whatever this server's pages ask.",
  fields: (t) => ({
    user: t.expose('user', { type: User, description: 'Whose token it is.' }),
    expiresAt: t.expose('expiresAt', { type: 'DateTime', description: 'When the token ends.' }),
  }),
})

builder.mutationField('signIn', (t) =>
  t.field({
    type: resultUnion('SignInResult', 'InvalidInputError for a token that is not good.', SignInSuccess, [
      InvalidInputError,
      RateLimitedError,
    ]),
    description:
      "For this server's own pages, over HTTP: has the browser keep a token in a cookie that no script can read. A program sends the token with each request instead.",
    args: { input: t.arg({ type: SignInInput, required: true, description: 'Who is there.' }) },
    resolve: (_, { input }, ctx) => signIn(ctx, input),
  }),
)

const SignOutSuccess = builder.objectRef<{ user: UserRow }>('SignOutSuccess').implement({
  description: 'The token is good for nothing any more.',
  fields: (t) => ({ user: t.expose('user', { type: User, description: 'Who was signed out.' }) }),
})

builder.mutationField('signOut', (t) =>
  t.field({
    type: resultUnion('SignOutResult', 'What became of `signOut`.', SignOutSuccess, [RateLimitedError]),
    description:
      'Ends the token or API key that it is asked with, everywhere, and within a second whatever is open by it. Other tokens of the viewer go on. A guest has no other way back in than their token.',
    resolve: (_source, _args, ctx) => signOut(ctx),
  }),
)

const UpdateViewerInput = builder.inputType('UpdateViewerInput', {
  description: 'What the viewer shall be called.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'What others shall see you called: 1 to 100 characters.' }),
  }),
})

const UpdateViewerSuccess = builder.objectRef<{ viewer: UserRow }>('UpdateViewerSuccess').implement({
  description: 'The viewer has the name, in all their sessions.',
  fields: (t) => ({ viewer: t.expose('viewer', { type: User, description: 'The viewer as they are now.' }) }),
})

builder.mutationField('updateViewer', (t) =>
  t.field({
    type: resultUnion('UpdateViewerResult', 'What became of `updateViewer`.', UpdateViewerSuccess, [
      InvalidInputError,
      RateLimitedError,
    ]),
    description:
      "Gives the viewer another name, as others see it. From then on the name in their tokens doesn't count any more.",
    args: { input: t.arg({ type: UpdateViewerInput, required: true, description: 'What to be called.' }) },
    resolve: (_, { input }, ctx) => updateViewer(ctx, input),
  }),
)

const DeleteViewerInput = builder.inputType('DeleteViewerInput', {
  description: 'Whose account to delete: the viewer says it once more.',
  fields: (t) => ({
    name: t.string({ required: true, description: "The account's name as it is now, to be sure." }),
  }),
})

const DeleteViewerSuccess = builder.objectRef<{ userId: string }>('DeleteViewerSuccess').implement({
  description: 'The account is gone.',
  fields: (t) => ({ userId: t.exposeID('userId', { description: 'Whose account it was.' }) }),
})

builder.mutationField('deleteViewer', (t) =>
  t.field({
    type: resultUnion(
      'DeleteViewerResult',
      'InvalidInputError where the name is not that of the account, ForbiddenError where an API key asks.',
      DeleteViewerSuccess,
      [InvalidInputError, ForbiddenError],
    ),
    description:
      "For a person, not for an API key: deletes the viewer's account and the sessions that they own, with everything in " +
      "them, and takes them out of all others. What they said in others' sessions stays, under the name `Deleted user`. All " +
      'their tokens and API keys end, and within a second whatever is open by them. To keep a session, hand it over by ' +
      '`transferSession` before.',
    args: { input: t.arg({ type: DeleteViewerInput, required: true, description: 'The name once more.' }) },
    resolve: (_, { input }, ctx) => deleteViewer(ctx, input),
  }),
)
