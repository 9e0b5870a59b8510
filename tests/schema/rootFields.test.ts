import {
  buildSchema,
  getNamedType,
  graphql,
  isEnumType,
  isInputObjectType,
  isNonNullType,
  parse,
  subscribe,
  type ExecutionResult,
  type GraphQLError,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLNamedType,
} from 'graphql'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Context } from '../../server/context.ts'
import { rootFields, type Row } from '../../server/guards/accessTable.ts'
import type { Scope } from '../../server/guards/scopes.ts'
import { guardRootFields } from '../../server/schema/rootFields.ts'
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
  const plain = (type: GraphQLNamedType): string =>
    isEnumType(type) ? type.getValues()[0]!.name : (values[type.name] ?? 'null')
  const valueOf = (type: GraphQLInputType, isList: boolean): string => {
    const named = getNamedType(type)
    if (!isInputObjectType(named)) return isList ? `[${plain(named)}]` : plain(named)
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

const isOpen = (kind: 'Query' | 'Mutation', name: string): boolean =>
  (rootFields[kind] as Record<string, Row>)[name]?.rule.anonymous === 'yes'
const codesOf = (errors: readonly GraphQLError[] | undefined) =>
  errors?.map(({ originalError, message }) => (originalError as { code?: string } | null)?.code ?? message)

describe('the anonymous', () => {
  test.each([
    ...fieldsOf('Query').map((field) => ['Query', ...field] as const),
    ...fieldsOf('Mutation').map((field) => ['Mutation', ...field] as const),
  ])('get from %s.%s what the table opens to them, else UNAUTHENTICATED', async (kind, name, field) => {
    const source = operation(kind.toLowerCase(), field)
    const { errors } = await graphql({ schema, source, contextValue: house.ctx(null) })
    expect(codesOf(errors)?.join() !== 'UNAUTHENTICATED').toBe(isOpen(kind, name))
  })

  test.each(fieldsOf('Subscription'))('get no event from %s', async (_name, field) => {
    const document = parse(operation('subscription', field))
    const result = await subscribe({ schema, document, contextValue: house.ctx(null) })
    expect(result).toMatchObject({ errors: [{ originalError: { code: 'UNAUTHENTICATED' } }] })
  })
})

describe('a key', () => {
  const all: readonly Scope[] = ['read', 'write', 'admin']

  test.each(
    (['Query', 'Mutation', 'Subscription'] as const).flatMap((kind) =>
      fieldsOf(kind).map(([name, field]) => {
        const { scope } = (rootFields[kind] as Record<string, Row>)[name]!
        return [kind, name, scope, field] as const
      }),
    ),
  )('gets nothing from %s.%s without the scope "%s", and nothing is read for it', async (kind, _name, scope, field) => {
    const viewer = await house.user('Programmer', { isAdmin: true })
    const contextValue: Context = { ...house.ctx(viewer), scopes: all.filter((other) => other !== scope) }
    house.reads.length = 0
    const source = operation(kind.toLowerCase(), field)
    const result =
      kind === 'Subscription'
        ? await subscribe({ schema, document: parse(source), contextValue })
        : await graphql({ schema, source, contextValue })
    const { errors } = result as ExecutionResult
    expect(codesOf(errors)).toEqual(['FORBIDDEN'])
    expect(errors![0]!.message).toContain(`"${scope}"`)
    expect(house.reads).toEqual([])
  })

  test('is asked for the scope of what an argument asks for, too', async () => {
    const contextValue: Context = { ...house.ctx(await house.user('Root', { isAdmin: true })), scopes: ['read'] }
    const ask = (source: string) => graphql({ schema, source, contextValue })
    expect((await ask('{ stats { totalSessions } }')).errors).toBeUndefined()
    expect(codesOf((await ask('{ stats(scope: ALL) { totalSessions } }')).errors)).toEqual(['FORBIDDEN'])
  })
})

test('a root field that the table does not know is closed to everyone', async () => {
  let calls = 0
  const unknown = buildSchema('type Query { leak: Int } type Mutation { leak: Int } type Subscription { leak: Int }')
  for (const type of [unknown.getQueryType()!, unknown.getMutationType()!])
    type.getFields().leak!.resolve = () => ++calls
  unknown.getSubscriptionType()!.getFields().leak!.subscribe = async function* leak() {
    yield { leak: ++calls }
  }
  guardRootFields(unknown)
  for (const viewer of [null, await house.user('Root', { isAdmin: true })]) {
    const contextValue = house.ctx(viewer)
    const results = [
      await graphql({ schema: unknown, source: '{ leak }', contextValue }),
      await graphql({ schema: unknown, source: 'mutation { leak }', contextValue }),
      await subscribe({ schema: unknown, document: parse('subscription { leak }'), contextValue }),
    ]
    for (const result of results)
      expect(codesOf((result as ExecutionResult).errors)).toEqual([viewer ? 'FORBIDDEN' : 'UNAUTHENTICATED'])
  }
  expect(calls).toBe(0)
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
