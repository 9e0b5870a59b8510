import { node, nodes, type NodeRow } from '../resolvers/node.ts'
import { builder } from './builder.ts'

const typeName = (row: NodeRow) => {
  if ('subject' in row) return 'User'
  if ('ownerId' in row) return 'Session'
  return 'messageId' in row ? 'Generation' : 'Message'
}

export const Node = builder.interfaceRef<NodeRow>('Node').implement({
  description:
    'Ids are UUIDs, unique across all types; version 7 where the server makes them. `node` finds any that the viewer may read.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'A UUID, unique across all types.' }),
  }),
  resolveType: typeName,
})

builder.queryField('node', (t) =>
  t.field({
    type: Node,
    nullable: true,
    description: 'Whatever has this id: null where there is none or the viewer may not read it.',
    args: { id: t.arg.id({ required: true, description: 'Id of a user, session, message or generation.' }) },
    resolve: (_, args, ctx) => node(ctx, args),
  }),
)

builder.queryField('nodes', (t) =>
  t.field({
    type: [Node],
    nullable: { list: false, items: true },
    description: 'Several at once, in the order asked; null where there is none or the viewer may not read it.',
    args: {
      ids: t.arg.idList({
        required: true,
        description: 'Ids as `node` takes them, at most 100; the same may come twice.',
      }),
    },
    resolve: (_, args, ctx) => nodes(ctx, args),
  }),
)
