import { getNamedType, graphql, isInputObjectType, isNonNullType, subscribe, parse, type GraphQLField } from 'graphql'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { schema } from '../../server/schema/schema.ts'
import { openHouse, type House } from '../resolvers/house.ts'

let house: House
beforeAll(async () => void (house = await openHouse('SQLite')))
afterAll(() => house.close())

const values: Record<string, string> = {
  ID: '"0190a0b0-0000-7000-8000-00000000000a"',
  String: '"x"',
  Int: '0',
  Boolean: 'true',
}

/** An operation that asks for this field with every argument that it must have. */
function operation(kind: string, field: GraphQLField<unknown, unknown>): string {
  const valueOf = (type: Parameters<typeof getNamedType>[0] & object, isList: boolean): string => {
    const named = getNamedType(type)
    if (!isInputObjectType(named))
      return isList ? `[${values[named.name] ?? 'MEMBER'}]` : (values[named.name] ?? 'MEMBER')
    const fields = Object.values(named.getFields()).filter((input) => isNonNullType(input.type))
    return `{ ${fields.map((input) => `${input.name}: ${valueOf(input.type, String(input.type).startsWith('['))}`).join(', ')} }`
  }
  const args = field.args
    .filter((arg) => isNonNullType(arg.type))
    .map((arg) => `${arg.name}: ${valueOf(arg.type, false)}`)
  const selection =
    'getFields' in getNamedType(field.type) || String(field.type).match(/Result|Event|Node/) ? '{ __typename }' : ''
  return `${kind} { ${field.name}${args.length > 0 ? `(${args.join(', ')})` : ''} ${selection} }`
}

const fieldsOf = (kind: 'Query' | 'Mutation' | 'Subscription') =>
  Object.values(
    schema.getType(kind)! &&
      (schema.getType(kind) as unknown as { getFields(): Record<string, GraphQLField<unknown, unknown>> }).getFields(),
  ).map((field) => [field.name, field] as const)

const opened = ['viewer', 'health', 'signInAsGuest']

describe('the anonymous', () => {
  test.each([...fieldsOf('Query'), ...fieldsOf('Mutation')])(
    'get from %s what a line has opened, else UNAUTHENTICATED',
    async (name, field) => {
      const kind = fieldsOf('Query').some(([query]) => query === name) ? 'query' : 'mutation'
      const { errors } = await graphql({ schema, source: operation(kind, field), contextValue: house.ctx(null) })
      const codes = errors?.map((error) => (error.originalError as { code?: string } | null)?.code ?? error.message)
      expect(codes).toEqual(opened.includes(name) ? undefined : ['UNAUTHENTICATED'])
    },
  )

  test.each(fieldsOf('Subscription'))('get no event from %s', async (_name, field) => {
    const document = parse(operation('subscription', field))
    const result = await subscribe({ schema, document, contextValue: house.ctx(null) })
    expect(result).toMatchObject({ errors: [{ originalError: { code: 'UNAUTHENTICATED' } }] })
  })
})

test('a viewer whose token has ended is anonymous', async () => {
  const contextValue = { ...house.ctx(await house.user()), expiresAt: new Date(Date.now() - 1) }
  const { errors } = await graphql({ schema, source: '{ sessions { totalCount } }', contextValue })
  expect(errors).toMatchObject([{ originalError: { code: 'UNAUTHENTICATED' } }])
})

test('each mutation of a document sees what those before it changed', async () => {
  const ada = await house.user('Ada')
  const { id } = await house.session(ada, 'First')
  const select = '{ ... on UpdateSessionSuccess { session { title lastSeq } } }'
  const source = `mutation {
    one: updateSession(input: { sessionId: "${id}", title: "One" }) ${select}
    two: updateSession(input: { sessionId: "${id}", title: "Two" }) ${select}
  }`
  expect(await graphql({ schema, source, contextValue: house.ctx(ada) })).toEqual({
    data: { one: { session: { title: 'One', lastSeq: 1 } }, two: { session: { title: 'Two', lastSeq: 2 } } },
  })
})
