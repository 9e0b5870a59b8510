import {
  getNamedType,
  isCompositeType,
  isObjectType,
  Kind,
  type GraphQLResolveInfo,
  type SelectionSetNode,
} from 'graphql'
import { ForbiddenError } from '../errors.ts'
import { shownWithoutRead } from '../guards/accessTable.ts'

const shown: Readonly<Record<string, readonly string[]>> = shownWithoutRead

/** Paths below a field of a success that are shown without the scope `read`. */
export const shownPaths = (success: string, field: string): readonly string[] => shown[`${success}.${field}`] ?? ['id']

/**
 * Refuses what a mutation's document asks of its result beyond what is shown without the scope `read`. Failures and what
 * a success has of its own, such as a token, are shown always.
 * @throws ForbiddenError
 */
export function requireShown({ fieldNodes, fragments, schema, returnType }: GraphQLResolveInfo): void {
  for (const { selectionSet } of fieldNodes) inResult(selectionSet, getNamedType(returnType).name)

  function inResult(set: SelectionSetNode | undefined, typeName: string): void {
    eachField(set, typeName, (field, type, inside) => {
      const success = schema.getType(type)
      const definition = isObjectType(success) ? success.getFields()[field] : undefined
      if (!definition || !type.endsWith('Success') || !isCompositeType(getNamedType(definition.type))) return
      below(inside, getNamedType(definition.type).name, '', shownPaths(type, field))
    })
  }

  function below(set: SelectionSetNode | undefined, typeName: string, path: string, allowed: readonly string[]): void {
    eachField(set, typeName, (field, type, inside) => {
      if (field === '__typename') return
      const at = path + field
      const leads = allowed.some((one) => one.startsWith(`${at}.`))
      if (!leads && !allowed.includes(at))
        throw new ForbiddenError(`"${type}.${field}" in a result takes an API key with the scope "read".`)
      if (leads) below(inside, type, `${at}.`, allowed)
    })
  }

  /** Each field of a selection with the name of the type that it is asked of, also those in fragments. */
  function eachField(
    set: SelectionSetNode | undefined,
    typeName: string,
    visit: (field: string, type: string, inside: SelectionSetNode | undefined) => void,
  ): void {
    for (const selection of set?.selections ?? []) {
      if (selection.kind === Kind.FIELD) visit(selection.name.value, typeName, selection.selectionSet)
      else if (selection.kind === Kind.INLINE_FRAGMENT)
        eachField(selection.selectionSet, selection.typeCondition?.name.value ?? typeName, visit)
      else {
        const { typeCondition, selectionSet } = fragments[selection.name.value]!
        eachField(selectionSet, typeCondition.name.value, visit)
      }
    }
  }
}
