import { extendSchema, isInterfaceType, isUnionType, parse, type GraphQLObjectType, type GraphQLSchema } from 'graphql'
import { describe, expect, test } from 'vitest'
import { rootFields, sessionEvents, viewerEvents, type Row } from '../../server/guards/accessTable.ts'
import { printedSchema } from '../support/accessMatrix.ts'

const kinds = ['Query', 'Mutation', 'Subscription'] as const
const fieldOf = (action: string) => action.replace(/\(.*/, '')
const rows = Object.values(rootFields).flatMap((fields) => Object.entries<Row>(fields))

function possibleNames(schema: GraphQLSchema, name: string): string[] {
  const type = schema.getType(name)
  if (!isInterfaceType(type) && !isUnionType(type)) throw new Error(`${name} is neither an interface nor a union.`)
  return schema.getPossibleTypes(type).map((possible) => possible.name)
}

/** What a schema has and the table does not know. */
function withoutRule(schema: GraphQLSchema): string[] {
  const fields = kinds.flatMap((kind) =>
    Object.keys((schema.getType(kind) as GraphQLObjectType).getFields())
      .filter((field) => !(field in rootFields[kind]))
      .map((field) => `${kind}.${field}`),
  )
  return [
    ...fields,
    ...possibleNames(schema, 'SessionEvent').filter((kind) => !(kind in sessionEvents)),
    ...possibleNames(schema, 'ViewerEvent').filter((kind) => !(kind in viewerEvents)),
    ...possibleNames(schema, 'Node').filter((kind) => !(`node(${kind})` in rootFields.Query)),
  ]
}

describe('the table of access', () => {
  const schema = printedSchema()

  test('has a rule for every root field, event and type of node of the printed schema', () => {
    expect(withoutRule(schema)).toEqual([])
  })

  test.each([
    ['a query', 'extend type Query { leak: String }', 'Query.leak'],
    ['a mutation', 'extend type Mutation { leak: String }', 'Mutation.leak'],
    ['a subscription', 'extend type Subscription { leak: String }', 'Subscription.leak'],
    ['an event', 'type Leaked implements SessionEvent { sessionId: ID! seq: Int }', 'Leaked'],
    ['an event of the list', 'type Leaked { id: ID! } extend union ViewerEvent = Leaked', 'Leaked'],
    ['a node', 'type Leaked implements Node { id: ID! }', 'Leaked'],
  ])('misses %s that is added without a rule', (_what, addition, name) => {
    expect(withoutRule(extendSchema(schema, parse(addition)))).toEqual([name])
  })

  test('has no row that nothing in the schema asks for', () => {
    for (const kind of kinds) {
      const fields = Object.keys((schema.getType(kind) as GraphQLObjectType).getFields())
      expect(fields).toEqual(expect.arrayContaining(Object.keys(rootFields[kind]).map(fieldOf)))
    }
    const nodes = possibleNames(schema, 'Node').map((name) => `node(${name})`)
    expect(nodes).toEqual(
      expect.arrayContaining(Object.keys(rootFields.Query).filter((row) => row.startsWith('node('))),
    )
    expect(possibleNames(schema, 'SessionEvent').sort()).toEqual(Object.keys(sessionEvents).sort())
    expect(possibleNames(schema, 'ViewerEvent').sort()).toEqual(Object.keys(viewerEvents).sort())
  })

  test('has each name once, since the code asks by the name alone', () => {
    const names = rows.map(([action]) => action)
    expect(names).toEqual([...new Set(names)])
  })

  test('lets the anonymous do what the contract opens to them, and tells them nothing but UNAUTHENTICATED else', () => {
    const open = rows.filter(([, { rule }]) => rule.anonymous === 'yes').map(([action]) => action)
    expect(open.sort()).toEqual(['health', 'server', 'signIn', 'signInAsGuest', 'viewer'])
    for (const [, { rule }] of rows) expect(rule.anonymous).toMatch(/^(yes|UNAUTHENTICATED)$/)
  })

  test('lets a member do what a viewer may, and an owner what a member may, but leave', () => {
    const lets = (role: 'VIEWER' | 'MEMBER' | 'OWNER') =>
      rows.filter(([, { rule }]) => rule[role] === 'yes').map(([action]) => action)
    expect(lets('MEMBER')).toEqual(expect.arrayContaining(lets('VIEWER')))
    expect([...lets('OWNER'), 'leaveSession']).toEqual(expect.arrayContaining(lets('MEMBER')))
  })

  test('gives admins nothing that is about a session but statistics and the audit log', () => {
    const beyond = rows.filter(([, { rule }]) => rule.admin === 'yes' && rule.outsider !== 'yes')
    expect(beyond.map(([action]) => fieldOf(action))).toEqual(['stats', 'auditLog', 'auditLog'])
  })

  test('asks keys to write for every mutation but giving oneself up, and never for a query or subscription', () => {
    const { Query, Mutation, Subscription } = rootFields
    for (const { scope } of [...Object.values<Row>(Query), ...Object.values<Row>(Subscription)])
      expect(scope).not.toBe('write')
    const reading = Object.entries<Row>(Mutation).filter(([, { scope }]) => scope === 'read')
    expect(reading.map(([action]) => action)).toEqual(['signOut'])
  })
})
