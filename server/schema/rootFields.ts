import { defaultFieldResolver, type GraphQLFieldResolver, type GraphQLSchema } from 'graphql'
import type { Context } from '../context.ts'
import { requireAllowed } from '../guards/access.ts'
import { rootFields, type Row } from '../guards/accessTable.ts'

type Resolver = GraphQLFieldResolver<unknown, Context>

const closed =
  (row: Row | undefined, resolve: Resolver): Resolver =>
  (source, args, ctx, info) => {
    requireAllowed(ctx, row)
    return resolve(source, args, ctx, info)
  }

const readingAnew =
  (resolve: Resolver): Resolver =>
  (source, args, ctx, info) => {
    ctx.loaders.clearAll()
    return resolve(source, args, ctx, info)
  }

/**
 * Asks the table of access before a root field is resolved: UNAUTHENTICATED for the anonymous where it does not let them,
 * FORBIDDEN for a key without the scope. A field that the table does not know is closed to everyone. It stands outside of
 * what turns a mutation's errors into data, so the error is a top-level one.
 */
export function closeRootFields(schema: GraphQLSchema): GraphQLSchema {
  const { Query, Mutation, Subscription }: Record<keyof typeof rootFields, Record<string, Row>> = rootFields
  for (const [type, rows] of [[schema.getQueryType(), Query] as const, [schema.getMutationType(), Mutation] as const]) {
    for (const field of Object.values(type?.getFields() ?? {}))
      field.resolve = closed(rows[field.name], field.resolve ?? defaultFieldResolver)
  }
  // An event's own resolve is left alone: it runs once for each event and each group of followers.
  for (const field of Object.values(schema.getSubscriptionType()?.getFields() ?? {}))
    field.subscribe = closed(Subscription[field.name], field.subscribe ?? defaultFieldResolver)
  return schema
}

/** Mutations of one document run one after the other: each must see what those before it changed. */
export function separateMutations(schema: GraphQLSchema): GraphQLSchema {
  for (const field of Object.values(schema.getMutationType()?.getFields() ?? {})) {
    field.resolve = readingAnew(field.resolve ?? defaultFieldResolver)
  }
  return schema
}
