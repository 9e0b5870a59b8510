import {
  getNamedType,
  getNullableType,
  isAbstractType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isLeafType,
  isListType,
  isObjectType,
  isUnionType,
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
} from 'graphql'
import { isRequired } from './badInputs.ts'

/** A field that takes arguments, wherever it stands, and how it is asked for. */
export interface AskedField {
  /** E.g. `Mutation.sendMessage` or `Session.messages`. */
  readonly name: string
  readonly operation: 'query' | 'mutation' | 'subscription'
  readonly args: readonly GraphQLArgument[]
  /** A document that gives the field its arguments, e.g. `first: $first`. */
  document(variables: string, given: string): string
}

/** Every field of the schema with an argument. Throws where there is one that no query leads to. */
export function askedFields(schema: GraphQLSchema): AskedField[] {
  const roots = { query: schema.getQueryType(), mutation: schema.getMutationType() } as const
  const root = { ...roots, subscription: schema.getSubscriptionType() }
  const ways = waysFrom(schema.getQueryType()!)
  const types = Object.values(schema.getTypeMap()).filter(
    (type): type is GraphQLObjectType => isObjectType(type) && !type.name.startsWith('__'),
  )
  return types.flatMap((type) =>
    Object.values(type.getFields())
      .filter(({ args }) => args.length > 0)
      .map((field): AskedField => {
        const operation = (['query', 'mutation', 'subscription'] as const).find((kind) => root[kind] === type)
        const way = operation ? (inner: string) => inner : ways.get(type)
        if (!way) throw new Error(`No query leads to ${type.name}.${field.name}.`)
        const selection = selectionOf(schema, field.type, 2)
        return {
          name: `${type.name}.${field.name}`,
          operation: operation ?? 'query',
          args: field.args,
          document: (variables, given) =>
            `${operation ?? 'query'} Bad${variables && `(${variables})`} { ${way(`${field.name}${given && `(${given})`}${selection}`)} }`,
        }
      }),
  )
}

type Way = (inner: string) => string

/** For each type of object, how a query comes to it by the fewest fields, with ids of what is there. */
function waysFrom(query: GraphQLObjectType): Map<GraphQLObjectType, Way> {
  const ways = new Map<GraphQLObjectType, Way>([[query, (inner) => inner]])
  for (const [type, way] of ways)
    for (const field of Object.values(type.getFields())) {
      const next = getNamedType(field.type)
      const needed = field.args.filter(isRequired)
      if (!isObjectType(next) || ways.has(next) || needed.some((arg) => getNamedType(arg.type).toString() !== 'ID'))
        continue
      const given = needed.map((arg) => `${arg.name}: "{{${arg.name === 'id' ? field.name : arg.name}}}"`).join(', ')
      ways.set(next, (inner) => way(`${field.name}${given && `(${given})`} { ${inner} }`))
    }
  return ways
}

const canBeAsked = (field: GraphQLField<unknown, unknown>): boolean => !field.args.some(isRequired)

/** What to ask of a field's result: little, since a document may cost only so much. */
function selectionOf(schema: GraphQLSchema, output: GraphQLOutputType, depth: number): string {
  const type = getNamedType(output)
  if (isLeafType(type)) return ''
  if (isAbstractType(type)) {
    const possible = schema.getPossibleTypes(type)
    const error = possible.some((one) => one.getInterfaces().some(({ name }) => name === 'Error'))
    const success = possible.filter((one) => !one.getInterfaces().some(({ name }) => name === 'Error'))
    const ofSuccess =
      isUnionType(type) && success.length === 1
        ? ` ... on ${success[0]!.name}${selectionOf(schema, success[0]!, depth)}`
        : ''
    const own = isInterfaceType(type)
      ? Object.values(type.getFields()).filter((field) => isLeafType(getNamedType(field.type)))
      : []
    return ` { __typename ${own.map(({ name }) => name).join(' ')}${error && isUnionType(type) ? ' ... on Error { code message }' : ''}${ofSuccess} }`
  }
  const fields = Object.values((type as GraphQLObjectType).getFields()).filter(canBeAsked)
  const leaves = fields.filter((field) => isLeafType(getNamedType(field.type))).map(({ name }) => name)
  const others = depth > 0 ? fields.filter((field) => isObjectType(getNamedType(field.type))) : []
  const inner = others.map((field) => `${field.name}${selectionOf(schema, field.type, Math.min(depth - 1, 1))}`)
  const some = depth > 1 ? [...leaves, ...inner] : [...leaves.slice(0, 1), ...inner.slice(0, 1)]
  return ` { ${some.length > 0 ? some.join(' ') : '__typename'} }`
}

const isName = (text: string): boolean => /^[_a-zA-Z]\w*$/.test(text)

/** A value as it stands in a document: names of enum values bare, and keys too, but for those that no document can have. */
export function literal(value: unknown, type?: GraphQLInputType): string {
  const nullable = type && getNullableType(type)
  if (Array.isArray(value)) {
    const inner = isListType(nullable) ? nullable.ofType : undefined
    return `[${value.map((item) => literal(item, inner)).join(' ')}]`
  }
  if (typeof value === 'object' && value !== null) {
    const fields = isInputObjectType(nullable) ? nullable.getFields() : {}
    return `{${Object.entries(value)
      .map(
        ([key, item]) =>
          `${isName(key) ? key : JSON.stringify(key)}: ${literal(item, Object.hasOwn(fields, key) ? fields[key]!.type : undefined)}`,
      )
      .join(' ')}}`
  }
  if (typeof value === 'string' && isEnumType(nullable) && isName(value)) return value
  // JSON's escapes are GraphQL's
  return JSON.stringify(value)
}
