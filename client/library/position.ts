import type { Operation } from '@urql/core'

type Document = Operation['query']
type Selection = { kind: string; name?: { value: string }; alias?: unknown; selectionSet?: SelectionSet }

/** What `seq` is asked for as, where the document asks for it in fragments: of some events it can be null, of others not. */
export const positionAlias = 'followedSeq'
type SelectionSet = { selections: readonly Selection[] }

/** The field that a subscription asks for. */
export function rootField(document: Document): string {
  return rootSelection(document)?.name?.value ?? ''
}

/** The document with `__typename` and `seq` asked for, without which nobody knows where to go on. */
export function withPosition(document: Document): Document {
  const root = rootSelection(document)
  if (!root?.selectionSet) return document
  const known = new Set(root.selectionSet.selections.map(({ name, alias }) => (alias ? '' : name?.value)))
  const missing = ['__typename', 'seq'].filter((name) => !known.has(name))
  if (missing.length === 0) return document
  const isElsewhere = asksInFragments(document, root.selectionSet)
  const selections = [
    ...missing.map((value) => ({
      kind: 'Field',
      name: { kind: 'Name', value },
      ...(value === 'seq' && isElsewhere && { alias: { kind: 'Name', value: positionAlias } }),
    })),
    ...root.selectionSet.selections,
  ]
  const field = { ...root, selectionSet: { ...root.selectionSet, selections } }
  return changeOperation(document, (set) => ({
    ...set,
    selections: set.selections.map((selection) => (selection === root ? field : selection)),
  }))
}

/** Whether fragments on events ask for `seq` under its own name, which can't stand beside that of another type. */
function asksInFragments({ definitions }: Document, { selections }: SelectionSet, seen = new Set<string>()): boolean {
  return selections.some(({ kind, name, selectionSet }) => {
    if (kind === 'Field') return false
    if (kind === 'FragmentSpread' && seen.has(name!.value)) return false
    if (kind === 'FragmentSpread') seen.add(name!.value)
    const fragment = definitions.find((one) => one.kind === 'FragmentDefinition' && one.name.value === name?.value)
    const inside = selectionSet ?? (fragment as Selection | undefined)?.selectionSet
    if (!inside) return false
    const isHere = inside.selections.some((one) => one.kind === 'Field' && one.name?.value === 'seq' && !one.alias)
    return isHere || asksInFragments({ definitions } as Document, inside, seen)
  })
}

function rootSelection({ definitions }: Document): Selection | undefined {
  const operation = definitions.find(({ kind }) => kind === 'OperationDefinition') as
    { selectionSet: SelectionSet } | undefined
  return operation?.selectionSet.selections.find(({ name }) => name?.value !== '__typename')
}

function changeOperation(document: Document, change: (set: SelectionSet) => SelectionSet): Document {
  const definitions = document.definitions.map((definition) =>
    definition.kind === 'OperationDefinition'
      ? { ...definition, selectionSet: change(definition.selectionSet as SelectionSet) }
      : definition,
  )
  // Without the key and the text of the document that it was made from.
  return { kind: document.kind, definitions } as Document
}
