import {
  Kind,
  type DocumentNode,
  type FragmentDefinitionNode,
  type OperationDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql'

/** How large an operation is, whatever the schema: with its fragments, each as often as it is spread. */
export interface Shape {
  /** Levels of fields. What lies inside `__schema` and `__type` is left to graphql-js' own rule. */
  depth: number
  aliases: number
  directives: number
  /** How often one selection names the same field, fragment or type. */
  repeats: number
}

export type Fragments = ReadonlyMap<string, FragmentDefinitionNode>

export const fragmentsOf = ({ definitions }: DocumentNode): Fragments =>
  new Map(
    definitions.flatMap((definition) =>
      definition.kind === Kind.FRAGMENT_DEFINITION ? [[definition.name.value, definition] as const] : [],
    ),
  )

type Sizes = Omit<Shape, 'repeats'>
const nothing: Sizes = { depth: 0, aliases: 0, directives: 0 }

/** Measures one operation of a document, which need not be valid: a fragment inside itself counts for nothing there. */
export function shapeOf(operation: OperationDefinitionNode, fragments: Fragments): Shape {
  const measured = new Map<string, Sizes>()
  let repeats = 0

  function ofSet(set: SelectionSetNode | undefined): Sizes {
    if (!set) return nothing
    let { depth, aliases, directives } = nothing
    for (const selection of set.selections) {
      const one = ofSelection(selection)
      depth = Math.max(depth, one.depth)
      aliases += one.aliases
      directives += one.directives + (selection.directives?.length ?? 0)
    }
    return { depth, aliases, directives }
  }

  function ofSelection(selection: SelectionNode): Sizes {
    if (selection.kind === Kind.INLINE_FRAGMENT) return ofSet(selection.selectionSet)
    if (selection.kind === Kind.FRAGMENT_SPREAD) return ofFragment(selection.name.value)
    const { depth, aliases, directives } = ofFieldSet(selection.selectionSet)
    const isIntrospection = selection.name.value === '__schema' || selection.name.value === '__type'
    return { depth: isIntrospection ? 1 : depth + 1, aliases: aliases + (selection.alias ? 1 : 0), directives }
  }

  function ofFragment(name: string): Sizes {
    const known = measured.get(name)
    const fragment = fragments.get(name)
    if (known || !fragment) return known ?? nothing
    measured.set(name, nothing)
    const sizes = ofFieldSet(fragment.selectionSet)
    const whole = { ...sizes, directives: sizes.directives + (fragment.directives?.length ?? 0) }
    measured.set(name, whole)
    return whole
  }

  /** What a field or a fragment selects, with inline fragments taken as part of it. */
  function ofFieldSet(set: SelectionSetNode | undefined): Sizes {
    if (set) repeats = Math.max(repeats, mostRepeated(set, '', new Map()))
    return ofSet(set)
  }

  const sizes = ofFieldSet(operation.selectionSet)
  const onDefinitions =
    (operation.directives?.length ?? 0) +
    (operation.variableDefinitions ?? []).reduce((sum, { directives = [] }) => sum + directives.length, 0)
  return { ...sizes, directives: sizes.directives + onDefinitions, repeats }
}

function mostRepeated({ selections }: SelectionSetNode, type: string, counts: Map<string, number>): number {
  let most = 0
  const count = (key: string): void => {
    const times = (counts.get(key) ?? 0) + 1
    counts.set(key, times)
    most = Math.max(most, times)
  }
  for (const selection of selections) {
    if (selection.kind === Kind.FIELD) count(`${type} ${(selection.alias ?? selection.name).value}`)
    else if (selection.kind === Kind.FRAGMENT_SPREAD) count(`${type} ...${selection.name.value}`)
    else
      most = Math.max(most, mostRepeated(selection.selectionSet, selection.typeCondition?.name.value ?? type, counts))
  }
  return most
}
