import { randomUUIDv7 } from 'node:crypto'
import { z } from 'zod'
import type { Context } from '../context.ts'
import { ForbiddenError } from '../errors.ts'
import { audit } from './audit.ts'
import { insert, type UserRow } from '../storage/rows.ts'
import { parse, writtenText } from './validation.ts'

const guestSchema = z.object({ name: z.string().trim().pipe(writtenText(100)) })

/**
 * Makes a user and a token for them.
 * @throws ForbiddenError where the server takes only tokens from outside
 */
export async function signInAsGuest(ctx: Context, input: { name: string }): Promise<{ token: string; user: UserRow }> {
  const startedAt = performance.now()
  if (ctx.config.auth !== 'guest') {
    throw new ForbiddenError('This server takes no guests. Sign in with its identity provider.')
  }
  const { name } = parse(guestSchema, input)
  await ctx.limits.signIn(ctx.address)
  const id = randomUUIDv7()
  const user: UserRow = { id, subject: id, name, isAdmin: false, createdAt: new Date(), lastSeenAt: null }
  await ctx.storage.transaction(async (tx) => {
    await insert(tx, 'users', { ...user })
    await audit(tx, ctx, { action: 'signInAsGuest', subjectId: id, startedAt })
  })
  return { token: await ctx.identity.signIn(user), user }
}
