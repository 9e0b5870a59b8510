import type { Operation } from '@urql/core'

type Document = Operation['query']
type Selection = { kind: string; name?: { value: string }; alias?: unknown; selectionSet?: SelectionSet }
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
  const selections = [
    ...missing.map((value) => ({ kind: 'Field', name: { kind: 'Name', value } })),
    ...root.selectionSet.selections,
  ]
  const field = { ...root, selectionSet: { ...root.selectionSet, selections } }
  return changeOperation(document, (set) => ({
    ...set,
    selections: set.selections.map((selection) => (selection === root ? field : selection)),
  }))
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
