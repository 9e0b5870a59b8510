import {
  getNamedType,
  getNullableType,
  isAbstractType,
  isCompositeType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isListType,
  isNonNullType,
  isUnionType,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLSchema,
} from 'graphql'

export interface FullOperation {
  query: string
  variables: Record<string, unknown>
}

/** Of these only the plain fields are asked for: nothing leads from them into a session. */
const alleys = new Set(['Model', 'Provider', 'GenerationSettings', 'TokenUsage', 'PageInfo'])

/**
 * An operation that asks a root field for all there is behind it, every type's fields and those of all that they lead to,
 * until a type comes again: of that one only the plain fields.
 * @param given what arguments, and fields of inputs, are given by their name; those that must be there get something
 * @param only the one type that is asked for where the result may be of several
 */
export function fullOperation(
  schema: GraphQLSchema,
  kind: 'query' | 'mutation' | 'subscription',
  field: GraphQLField<unknown, unknown>,
  given: Readonly<Record<string, unknown>>,
  only?: string,
): FullOperation {
  const args = field.args.filter(({ name, type }) => name in given || name === 'input' || isNonNullType(type))
  const declared = args.map(({ name, type }) => `$${name}: ${String(type)}`).join(', ')
  const passed = args.map(({ name }) => `${name}: $${name}`).join(', ')
  const selection = only
    ? `{ __typename ... on ${only} ${selectionOf(schema, schema.getType(only)!, [])} }`
    : selectionOf(schema, getNamedType(field.type), [])
  return {
    query: `${kind}${declared && ` (${declared})`} { ${field.name}${passed && `(${passed})`} ${selection} }`,
    variables: Object.fromEntries(args.map(({ name, type }) => [name, valueOf(type, given, name)])),
  }
}

function valueOf(type: GraphQLInputType, given: Readonly<Record<string, unknown>>, name: string): unknown {
  if (name in given) return given[name]
  const nullable = getNullableType(type)
  if (isListType(nullable)) return [valueOf(nullable.ofType as GraphQLInputType, given, name)]
  if (isEnumType(nullable)) return nullable.getValues()[0]!.name
  if (!isInputObjectType(nullable)) return { Int: 1, Float: 1, Boolean: true, JSONObject: {} }[nullable.name] ?? 'x'
  const fields = Object.values(nullable.getFields()).filter((input) => input.name in given || isNonNullType(input.type))
  return Object.fromEntries(fields.map((input) => [input.name, valueOf(input.type, given, input.name)]))
}

function selectionOf(schema: GraphQLSchema, type: GraphQLNamedType, path: readonly string[]): string {
  if (!isCompositeType(type)) return ''
  if (!isAbstractType(type)) return `{ __typename ${fieldsOf(schema, type, path)} }`
  const possible = schema.getPossibleTypes(type)
  const errors = possible.filter((one) => one.getInterfaces().some(({ name }) => name === 'Error'))
  const shown = possible.filter((one) => !errors.includes(one))
  // asked once for all: an implementing type may be stricter about them, and two such can't stand side by side
  const common = isInterfaceType(type) ? Object.keys(type.getFields()) : []
  const beside = new Map<string, string>()
  const parts = shown.map((one) => `... on ${one.name} { __typename ${fieldsOf(schema, one, path, common, beside)} }`)
  if (isUnionType(type) && errors.length > 0) parts.push('... on Error { code message }')
  return `{ __typename ${[...parts, ...common].join(' ')} }`
}

function fieldsOf(
  schema: GraphQLSchema,
  type: GraphQLObjectType,
  path: readonly string[],
  without: readonly string[] = [],
  /** Types of the fields that other members of the same union or interface were asked for, by name. */
  beside = new Map<string, string>(),
): string {
  const isAgain = path.includes(type.name) || alleys.has(type.name)
  return Object.values(type.getFields())
    .filter((field) => !isAgain || !isCompositeType(getNamedType(field.type)))
    .filter((field) => !without.includes(field.name))
    .filter((field) => !field.args.some((arg) => isNonNullType(arg.type)))
    .map((field) => {
      const page = field.args.some(({ name }) => name === 'first') ? '(first: 3)' : ''
      const differs = (beside.get(field.name) ?? String(field.type)) !== String(field.type)
      if (!differs) beside.set(field.name, String(field.type))
      const alias = differs ? `${field.name}Of${type.name}: ` : ''
      return `${alias}${field.name}${page} ${selectionOf(schema, getNamedType(field.type), [...path, type.name])}`
    })
    .join(' ')
}
