import { randomUUIDv7 } from 'node:crypto'
import { z } from 'zod'
import type { Context, TokenCookie } from '../context.ts'
import { ForbiddenError, InvalidInputError, UnauthenticatedError } from '../errors.ts'
import { isApiKey } from '../guards/apiKeys.ts'
import type { Verified } from '../guards/identity.ts'
import { audit } from './audit.ts'
import { insert, type UserRow } from '../storage/rows.ts'
import { parse, writtenText } from './validation.ts'

/** Who is asking, under the name that they have now: what is known of their token may be minutes old. */
export async function viewer(ctx: Context): Promise<UserRow | null> {
  if (!ctx.viewer) return null
  const { name } = await ctx.loaders.user.load(ctx.viewer.id)
  if (ctx.viewer.name !== name) ctx.viewer = { ...ctx.viewer, name }
  return ctx.viewer
}

export interface SignInAsGuestInput {
  name: string
  keepInCookie?: boolean | null
}

/** As much as browsers keep, and nothing that would end the value. */
const maxCookieCharacters = 4_000
const cookieForm = /^[\w-]+\.[\w-]+\.[\w-]+$/

export const nameSchema = z.object({ name: z.string().trim().pipe(writtenText(100)) })

/**
 * Makes a user and a token for them.
 * @returns an empty token where the browser keeps it in its cookie
 * @throws ForbiddenError where the server takes only tokens from outside
 */
export async function signInAsGuest(
  ctx: Context,
  { keepInCookie, ...input }: SignInAsGuestInput,
): Promise<{ token: string; user: UserRow; expiresAt: Date }> {
  const startedAt = performance.now()
  if (ctx.config.auth !== 'guest') {
    throw new ForbiddenError('This server takes no guests. Sign in with its identity provider.')
  }
  const { name } = parse(nameSchema, input)
  const cookie = keepInCookie ? requireCookie(ctx, 'keepInCookie') : null
  await ctx.limits.signIn(ctx.address)
  const id = randomUUIDv7()
  const user: UserRow = {
    id,
    subject: id,
    name,
    isNameChosen: false,
    isAdmin: false,
    createdAt: new Date(),
    lastSeenAt: null,
  }
  await ctx.storage.transaction(async (tx) => {
    await insert(tx, 'users', { ...user })
    await audit(tx, ctx, { action: 'signInAsGuest', subjectId: id, startedAt })
  })
  const token = await ctx.identity.signIn(user)
  const { expiresAt } = await ctx.identity.verify(token)
  cookie?.keep(token, expiresAt)
  return { token: cookie ? '' : token, user, expiresAt }
}

/**
 * Has the browser keep a token that the page was given.
 * @throws InvalidInputError for a token that is not good, an API key, or where no cookie can be set
 */
export async function signIn(ctx: Context, { token }: { token: string }): Promise<{ user: UserRow; expiresAt: Date }> {
  const startedAt = performance.now()
  const cookie = requireCookie(ctx, 'token')
  const { user, expiresAt } = await verify(ctx, token)
  await ctx.storage.transaction((tx) =>
    audit(tx, { ...ctx, viewer: user }, { action: 'signIn', subjectId: user.id, startedAt }),
  )
  cookie.keep(token, expiresAt)
  return { user, expiresAt }
}

async function verify(ctx: Context, token: string): Promise<Verified> {
  // a page is a person's: what they may not do by a key they would look for in vain
  if (isApiKey(token)) throw wrong('token', 'API keys are for programs. Sign in with a token of your own.')
  if (token.length > maxCookieCharacters)
    throw wrong('token', `Must have at most ${maxCookieCharacters} characters to fit into a cookie.`)
  if (!cookieForm.test(token)) throw wrong('token', 'This is no token.')
  try {
    return await ctx.limits.token(ctx.address, token, () => ctx.identity.verify(token))
  } catch (error) {
    throw error instanceof UnauthenticatedError ? wrong('token', error.message) : error
  }
}

function requireCookie({ tokenCookie }: Context, field: string): TokenCookie {
  if (!tokenCookie) throw wrong(field, "A cookie is set only over HTTP, for this server's own pages.")
  return tokenCookie
}

const wrong = (field: string, message: string) => new InvalidInputError([{ path: [field], message }])
