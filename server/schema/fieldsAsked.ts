import { TypeInfo, visit, visitWithTypeInfo, type GraphQLResolveInfo, type OperationDefinitionNode } from 'graphql'

const known = new WeakMap<OperationDefinitionNode, ReadonlySet<string>>()

/** The fields that an operation asks for anywhere, each as `Type.field`. */
export function fieldsAsked({ operation, fragments, schema }: GraphQLResolveInfo): ReadonlySet<string> {
  const before = known.get(operation)
  if (before) return before
  const asked = new Set<string>()
  const types = new TypeInfo(schema)
  const noted = visitWithTypeInfo(types, {
    Field: ({ name }) => void asked.add(`${types.getParentType()?.name}.${name.value}`),
  })
  for (const part of [operation, ...Object.values(fragments)]) visit(part, noted)
  known.set(operation, asked)
  return asked
}
