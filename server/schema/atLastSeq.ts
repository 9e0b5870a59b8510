import { TypeInfo, visit, visitWithTypeInfo, type GraphQLResolveInfo, type OperationDefinitionNode } from 'graphql'
import type { Context } from '../context.ts'
import type { SessionRow } from '../storage/rows.ts'

const known = new WeakMap<OperationDefinitionNode, boolean>()

/**
 * Whether an operation asks for `Session.lastSeq` anywhere. Then whatever else it asks of sessions is read in the same
 * moment: a row that was read before would lack changes that the position counts as seen.
 */
export function asksForLastSeq({ operation, fragments, schema }: GraphQLResolveInfo): boolean {
  let isAsked = known.get(operation)
  if (isAsked === undefined) {
    const types = new TypeInfo(schema)
    isAsked = false
    for (const part of [operation, ...Object.values(fragments)])
      visit(
        part,
        visitWithTypeInfo(types, {
          Field({ name }) {
            if (name.value === 'lastSeq' && types.getParentType()?.name === 'Session') isAsked = true
          },
        }),
      )
    known.set(operation, isAsked)
  }
  return isAsked
}

/** Resolves a field of a session from its row; from the row of that moment, where the operation asks for `lastSeq`. */
export const fromRow =
  <T>(pick: (session: SessionRow, ctx: Context) => T) =>
  (session: SessionRow, _args: unknown, ctx: Context, info: GraphQLResolveInfo): T | Promise<T> =>
    asksForLastSeq(info) ? ctx.loaders.sessionAtLastSeq(session).then((now) => pick(now, ctx)) : pick(session, ctx)
