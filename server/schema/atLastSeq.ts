import type { GraphQLResolveInfo } from 'graphql'
import type { Context } from '../context.ts'
import type { SessionRow } from '../storage/rows.ts'
import { fieldsAsked } from './fieldsAsked.ts'

/**
 * Whether an operation asks for `Session.lastSeq` anywhere. Then whatever else it asks of sessions is read in the same
 * moment: a row that was read before would lack changes that the position counts as seen.
 */
export const asksForLastSeq = (info: GraphQLResolveInfo): boolean => fieldsAsked(info).has('Session.lastSeq')

/** Resolves a field of a session from its row; from the row of that moment, where the operation asks for `lastSeq`. */
export const fromRow =
  <T>(pick: (session: SessionRow, ctx: Context) => T) =>
  (session: SessionRow, _args: unknown, ctx: Context, info: GraphQLResolveInfo): T | Promise<T> =>
    asksForLastSeq(info) ? ctx.loaders.sessionAtLastSeq(session).then((now) => pick(now, ctx)) : pick(session, ctx)
