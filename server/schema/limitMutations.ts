import { wrapErrorIfMatches } from '@pothos/plugin-errors'
import { defaultFieldResolver, getNamedType, type GraphQLFieldResolver, type GraphQLSchema } from 'graphql'
import type { Context } from '../context.ts'
import { RateLimitedError } from '../errors.ts'

type Resolver = GraphQLFieldResolver<unknown, Context>

/** They have limits of their own, or end something. */
const exempt = new Set(['sendMessage', 'setTyping', 'signInAsGuest', 'signOut', 'revokeApiKey', 'stopGeneration'])

/** Counts each mutation for its user, so that one added later is limited too. */
export function limitMutations(schema: GraphQLSchema): GraphQLSchema {
  for (const field of Object.values(schema.getMutationType()?.getFields() ?? {})) {
    if (exempt.has(field.name)) continue
    // a refusal is data where the result has a member for it
    const { pothosErrorTypes = [] } = getNamedType(field.type).extensions as { pothosErrorTypes?: unknown[] }
    field.resolve = limited(field.resolve ?? defaultFieldResolver, pothosErrorTypes.includes(RateLimitedError))
  }
  return schema
}

const limited =
  (resolve: Resolver, isData: boolean): Resolver =>
  async (source, args, ctx, info) => {
    try {
      if (ctx.viewer) await ctx.limits.mutation(ctx.viewer.id)
    } catch (error) {
      if (isData && error instanceof RateLimitedError) return wrapErrorIfMatches(error, [RateLimitedError])
      throw error
    }
    return resolve(source, args, ctx, info)
  }
