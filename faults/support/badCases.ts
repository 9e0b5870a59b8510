import fc from 'fast-check'
import type { GraphQLSchema } from 'graphql'
import { askedFields, literal, type AskedField } from './askedFields.ts'
import { valuesFor } from './badInputs.ts'

/** One operation with one field whose arguments may be anything. */
export interface Case {
  field: string
  given: Record<string, unknown>
  as: 'variables' | 'literals'
  via: 'post' | 'stream' | 'socket'
  by: 'admin' | 'nobody'
}

/** A case for any field of a schema that takes arguments. */
export function anyCase(schema: GraphQLSchema): { cases: fc.Arbitrary<Case>; fields: ReadonlyMap<string, AskedField> } {
  const fields = askedFields(schema)
  const ofField = ({ name, operation, args }: AskedField): fc.Arbitrary<Case> => {
    const model = Object.fromEntries(
      args.map((arg) => [
        arg.name,
        fc.option(valuesFor(arg.type, arg.name === 'id' ? name.replace(/^.*\./, '') : arg.name), {
          freq: 40,
          nil: undefined,
        }),
      ]),
    )
    const vias: Case['via'][] =
      operation === 'subscription' ? ['stream', 'socket'] : ['post', 'post', 'stream', 'socket']
    return fc.record<Case>({
      field: fc.constant(name),
      given: fc
        .tuple(fc.record(model), fc.nat(60))
        .map(([given, n]) => withoutUndefined(n === 0 ? { ...given, nope: 1 } : given)),
      as: fc.constantFrom('variables', 'variables', 'literals'),
      via: fc.constantFrom(...vias),
      by: fc.constantFrom<Case['by'][]>(...Array<'admin'>(15).fill('admin'), 'nobody'),
    })
  }
  return { cases: fc.oneof(...fields.map(ofField)), fields: new Map(fields.map((field) => [field.name, field])) }
}

const withoutUndefined = (given: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))

/** The document and the variables of a case. */
export function operationOf({ args, document }: AskedField, { given, as }: Case): [query: string, variables: object] {
  const typeOf = (name: string) => args.find((arg) => arg.name === name)?.type
  const entries = Object.entries(given)
  if (as === 'literals')
    return [document('', entries.map(([name, value]) => `${name}: ${literal(value, typeOf(name))}`).join(' ')), {}]
  const declared = entries.map(([name]) => `$${name}: ${String(typeOf(name) ?? 'Int')}`).join(' ')
  return [document(declared, entries.map(([name]) => `${name}: $${name}`).join(' ')), given]
}
