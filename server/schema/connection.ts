import type { ObjectRef } from '@pothos/core'
import type { Connection, Edge, PageInfo as Row } from '../resolvers/connection.ts'
import { builder, type SchemaTypes } from './builder.ts'

const PageInfo = builder.objectRef<Row>('PageInfo').implement({
  description: "Where a page lies in its list; see Relay's cursor connections specification.",
  fields: (t) => ({
    hasNextPage: t.exposeBoolean('hasNextPage', { description: 'Whether there is more after the last edge.' }),
    hasPreviousPage: t.exposeBoolean('hasPreviousPage', {
      description: 'Whether there is more before the first edge.',
    }),
    startCursor: t.exposeString('startCursor', {
      nullable: true,
      description: 'Cursor of the first edge; null where there is none.',
    }),
    endCursor: t.exposeString('endCursor', {
      nullable: true,
      description: 'Cursor of the last edge; null where there is none.',
    }),
  }),
})

/** The type of an entry of a list, named after its nodes. */
export const edgeType = <Node extends object>(node: ObjectRef<SchemaTypes, Node>, plural: string) =>
  builder.objectRef<Edge<Node>>(`${node.name}Edge`).implement({
    description: `One of a page of ${plural}.`,
    fields: (t) => ({
      cursor: t.exposeString('cursor', { description: 'For `after` and `before`. Opaque.' }),
      node: t.expose('node', { type: node, description: 'What stands there.' }),
    }),
  })

/** The type of a page of a list, named after its nodes. */
export function connectionType<Node extends object>(
  node: ObjectRef<SchemaTypes, Node>,
  plural: string,
  edge = edgeType(node, plural),
) {
  return builder.objectRef<Connection<Node>>(`${node.name}Connection`).implement({
    description: `A page of ${plural}.`,
    fields: (t) => ({
      edges: t.expose('edges', { type: [edge], description: 'What is on the page, in the order of the list.' }),
      nodes: t.field({
        type: [node],
        description: 'The same without their cursors.',
        resolve: ({ edges }) => edges.map((one) => one.node),
      }),
      pageInfo: t.expose('pageInfo', { type: PageInfo, description: 'Where the page lies in the list.' }),
      totalCount: t.int({
        description: `How many ${plural} the whole list has.`,
        resolve: (of) => of.totalCount(),
      }),
    }),
  })
}

/** Descriptions of the arguments that each list takes. */
export const pageArgs = {
  first: 'How many from the start, or after `after`: 0 to 200. 50 where neither `first` nor `last` is given.',
  after: 'Only what comes after this cursor.',
  last: 'How many from the end, or before `before`: 0 to 200.',
  before: 'Only what comes before this cursor.',
}
