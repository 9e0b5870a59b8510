import type { UserRow } from '../storage/rows.ts'
import { signInAsGuest } from '../resolvers/viewer.ts'
import { ForbiddenError, InvalidInputError, RateLimitedError } from '../errors.ts'
import { open } from './rootFields.ts'
import { builder } from './builder.ts'
import { resultUnion } from './errors.ts'
import { Node } from './node.ts'

export const User = builder.objectRef<UserRow>('User')

User.implement({
  description: 'A person, whether guest or known to an identity provider.',
  interfaces: [Node],
  fields: (t) => ({
    name: t.exposeString('name', { description: 'What others see them called.' }),
    isAdmin: t.exposeBoolean('isAdmin', { description: 'Whether they run this server.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When they were first seen here.' }),
  }),
})

builder.queryField('viewer', (t) =>
  t.field({
    type: User,
    nullable: true,
    extensions: open,
    description: 'Who is asking; null for the anonymous.',
    resolve: (_source, _args, ctx) => ctx.viewer,
  }),
)

const SignInAsGuestInput = builder.inputType('SignInAsGuestInput', {
  description: 'Who wants to come in.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'What others shall see you called: 1 to 100 characters.' }),
  }),
})

const SignInAsGuestSuccess = builder.objectRef<{ token: string; user: UserRow }>('SignInAsGuestSuccess').implement({
  description: 'A new account.',
  fields: (t) => ({
    token: t.exposeString('token', {
      description:
        'Bearer token for `Authorization`, or for `connectionParams.authorization` over WebSocket. Valid for 30 days.',
    }),
    user: t.expose('user', { type: User, description: 'The new user.' }),
  }),
})

builder.mutationField('signInAsGuest', (t) =>
  t.field({
    type: resultUnion('SignInAsGuestResult', 'What became of `signInAsGuest`.', SignInAsGuestSuccess, [
      InvalidInputError,
      ForbiddenError,
      RateLimitedError,
    ]),
    extensions: open,
    description: 'For a server that runs with AUTH=guest: makes a user and a token for them.',
    args: { input: t.arg({ type: SignInAsGuestInput, required: true, description: 'Who wants to come in.' }) },
    resolve: (_, { input }, ctx) => signInAsGuest(ctx, input),
  }),
)
