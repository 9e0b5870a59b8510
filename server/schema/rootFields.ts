import { wrapErrorIfMatches } from '@pothos/plugin-errors'
import { defaultFieldResolver, getNamedType, type GraphQLField, type GraphQLSchema } from 'graphql'
import type { Context } from '../context.ts'
import { RateLimitedError } from '../errors.ts'
import { requireAllowed } from '../guards/access.ts'
import { rootFields, type Row } from '../guards/accessTable.ts'
import { requireShown } from './resultScope.ts'
import { auditedMutation, auditedRead, type Resolver } from './audited.ts'

type Field = GraphQLField<unknown, Context>

/** They have limits of their own, or end something. */
const unlimited = new Set(['sendMessage', 'setTyping', 'signInAsGuest', 'signOut', 'revokeApiKey', 'stopGeneration'])

/**
 * Puts around every root field what holds for all of them, also for one added later. From the outside in:
 *
 * 1. `audited`: whatever those below let through or refuse is noted.
 * 2. `closed`: nothing is counted or read for whoever may not. It stands outside of what turns a mutation's errors into
 *    data, so its errors are top-level ones.
 *    `showing`, for mutations: a key that may only write is shown no more than it wrote.
 * 3. `limited`, for mutations: only those that may be are counted.
 * 4. `readingAnew`, for mutations: right before the field's own, which sees what those before it in the document changed.
 */
export function guardRootFields(schema: GraphQLSchema): GraphQLSchema {
  const { Query, Mutation, Subscription }: Record<keyof typeof rootFields, Record<string, Row>> = rootFields
  for (const field of Object.values(schema.getQueryType()?.getFields() ?? {}))
    field.resolve = auditedRead(field.name, closed(Query[field.name], ownResolver(field)))
  for (const field of Object.values(schema.getMutationType()?.getFields() ?? {})) {
    const resolve = limited(field, readingAnew(ownResolver(field)))
    field.resolve = auditedMutation(field.name, closed(Mutation[field.name], showing(resolve)))
  }
  // An event's own resolve is left alone: it runs once for each event and each group of followers.
  for (const field of Object.values(schema.getSubscriptionType()?.getFields() ?? {}))
    field.subscribe = auditedRead(field.name, closed(Subscription[field.name], field.subscribe ?? defaultFieldResolver))
  return schema
}

const ownResolver = (field: Field): Resolver => field.resolve ?? defaultFieldResolver

/**
 * Asks the table of access: UNAUTHENTICATED for the anonymous where it does not let them, FORBIDDEN for a key without the
 * scope. A field that the table does not know is closed to everyone.
 */
const closed =
  (row: Row | undefined, resolve: Resolver): Resolver =>
  (source, args, ctx, info) => {
    requireAllowed(ctx, row)
    return resolve(source, args, ctx, info)
  }

/** Refuses what a key without the scope "read" asks to be shown of things that it didn't make, before anything is done. */
const showing =
  (resolve: Resolver): Resolver =>
  (source, args, ctx, info) => {
    if (ctx.scopes && !ctx.scopes.includes('read')) requireShown(info)
    return resolve(source, args, ctx, info)
  }

/** Counts the mutation for its user. A refusal is data where the result has a member for it. */
function limited(field: Field, resolve: Resolver): Resolver {
  if (unlimited.has(field.name)) return resolve
  const { pothosErrorTypes = [] } = getNamedType(field.type).extensions as { pothosErrorTypes?: unknown[] }
  const isData = pothosErrorTypes.includes(RateLimitedError)
  return async (source, args, ctx, info) => {
    try {
      if (ctx.viewer) await ctx.limits.mutation(ctx.viewer.id)
    } catch (error) {
      if (isData && error instanceof RateLimitedError) return wrapErrorIfMatches(error, [RateLimitedError])
      throw error
    }
    return resolve(source, args, ctx, info)
  }
}

/** Mutations of one document run one after the other: each must see what those before it changed. */
const readingAnew =
  (resolve: Resolver): Resolver =>
  (source, args, ctx, info) => {
    ctx.loaders.clearAll()
    return resolve(source, args, ctx, info)
  }
