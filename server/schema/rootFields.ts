import { defaultFieldResolver, type GraphQLFieldResolver, type GraphQLSchema } from 'graphql'
import type { Context } from '../context.ts'
import { requireViewer } from '../guards/access.ts'

/** Extensions of a root field that the anonymous may use. */
export const open = { open: true } as const

type Resolver = GraphQLFieldResolver<unknown, Context>

const closed =
  (resolve: Resolver): Resolver =>
  (source, args, ctx, info) => {
    requireViewer(ctx)
    return resolve(source, args, ctx, info)
  }

const readingAnew =
  (resolve: Resolver): Resolver =>
  (source, args, ctx, info) => {
    ctx.loaders.clearAll()
    return resolve(source, args, ctx, info)
  }

/**
 * Refuses every root field to the anonymous that no line has opened, with UNAUTHENTICATED. It stands outside of what
 * turns a mutation's errors into data, so the error is a top-level one.
 */
export function closeRootFields(schema: GraphQLSchema): GraphQLSchema {
  for (const type of [schema.getQueryType(), schema.getMutationType()]) {
    for (const field of Object.values(type?.getFields() ?? {})) {
      if (!field.extensions.open) field.resolve = closed(field.resolve ?? defaultFieldResolver)
    }
  }
  // An event's own resolve is left alone: it runs once for each event and each group of followers.
  for (const field of Object.values(schema.getSubscriptionType()?.getFields() ?? {})) {
    if (!field.extensions.open) field.subscribe = closed(field.subscribe ?? defaultFieldResolver)
  }
  return schema
}

/** Mutations of one document run one after the other: each must see what those before it changed. */
export function separateMutations(schema: GraphQLSchema): GraphQLSchema {
  for (const field of Object.values(schema.getMutationType()?.getFields() ?? {})) {
    field.resolve = readingAnew(field.resolve ?? defaultFieldResolver)
  }
  return schema
}
