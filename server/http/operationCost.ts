import {
  getNamedType,
  getNullableType,
  isCompositeType,
  isListType,
  Kind,
  type FieldNode,
  type GraphQLNamedType,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql'
import type { Fragments } from './operationShape.ts'

/** What an entry of a list costs, and what any other object does: those of one list are read together. */
const entryCost = 1
const objectCost = 0.5
/** What a text costs that may be tens of kilobytes long, so that a small request can't ask for a huge answer. */
const longTextCost = 4
const longTexts = new Set([
  'Message.content',
  'GenerationSettings.systemPrompt',
  'Message.metadata',
  'Session.metadata',
])
/** How many entries a list is taken to have that can't be asked for by the page. */
const listEntries = 10
const defaultPage = 50
const largestPage = 200
/** More at once are refused where they are read. */
const mostIds = 100
/** What statistics cost beyond their object: they read all that the viewer may read. */
const statsCost = 1_000

type Variables = Readonly<Record<string, unknown>>

/** What a selection costs: so much in any case, and parts that depend on the size of a page. */
interface Cost {
  fixed: number
  parts: { entries(variables: Variables): number; each: Cost }[]
}

/**
 * Tells what an operation costs with given variables: one for each entry of each list, half for each other object, four
 * for each long text, a thousand more for statistics, none for other scalars and introspection; what stands inside a list costs as often as the list has entries. A number where no
 * variable matters.
 * The document need not be valid: what the schema does not have costs nothing.
 */
export function costOf(
  schema: GraphQLSchema,
  operation: OperationDefinitionNode,
  fragments: Fragments,
): number | ((variables: Variables) => number) {
  const defaults = Object.fromEntries(
    (operation.variableDefinitions ?? []).flatMap(({ variable, defaultValue }) =>
      defaultValue?.kind === Kind.INT ? [[variable.name.value, Number(defaultValue.value)]] : [],
    ),
  )
  const known = new Map<string, Cost>()
  const cost = ofSet(operation.selectionSet, schema.getRootType(operation.operation))
  if (cost.parts.length === 0) return cost.fixed
  return (variables) => evaluate(cost, { ...defaults, ...variables }, new Map())

  function ofSet(set: SelectionSetNode | undefined, type: GraphQLNamedType | null | undefined): Cost {
    const sum: Cost = { fixed: 0, parts: [] }
    for (const selection of set?.selections ?? []) {
      if (selection.kind === Kind.FIELD) add(sum, ofField(selection, type))
      else if (selection.kind === Kind.FRAGMENT_SPREAD) add(sum, ofFragment(selection.name.value))
      else {
        const { selectionSet, typeCondition } = selection
        add(sum, ofSet(selectionSet, typeCondition ? schema.getType(typeCondition.name.value) : type))
      }
    }
    return sum
  }

  function ofFragment(name: string): Cost {
    const fragment = fragments.get(name)
    if (!known.has(name) && fragment) {
      known.set(name, { fixed: 0, parts: [] })
      known.set(name, ofSet(fragment.selectionSet, schema.getType(fragment.typeCondition.name.value)))
    }
    return known.get(name) ?? { fixed: 0, parts: [] }
  }

  function ofField(field: FieldNode, parent: GraphQLNamedType | null | undefined): Cost {
    const definition = parent && 'getFields' in parent ? parent.getFields()[field.name.value] : undefined
    const type = definition && getNamedType(definition.type)
    if (!parent || !definition || !isCompositeType(type)) {
      const isLong = definition && parent && longTexts.has(`${parent.name}.${field.name.value}`)
      return { fixed: isLong ? longTextCost : 0, parts: [] }
    }
    const inside = ofSet(field.selectionSet, type)
    // as many entries as ids are given
    if ('args' in definition && definition.args.some(({ name }) => name === 'ids'))
      return times(plus(inside, entryCost), idsOf(field))
    const isPaged = 'args' in definition && definition.args.some(({ name }) => name === 'first' || name === 'last')
    if (isPaged) return times(inside, entriesOf(field))
    // the edges of a connection are as many as its page has, and counted there; their node is the entry
    if (/(Edge|PageInfo)$/.test(type.name)) return inside
    if (parent.name.endsWith('Edge') || (parent.name.endsWith('Connection') && field.name.value === 'nodes'))
      return plus(inside, entryCost)
    return isListType(getNullableType(definition.type))
      ? times(plus(inside, entryCost), listEntries)
      : plus(inside, objectCost + (definition === schema.getQueryType()?.getFields().stats ? statsCost : 0))
  }
}

const plus = ({ fixed, parts }: Cost, more: number): Cost => ({ fixed: fixed + more, parts })

function add(sum: Cost, more: Cost): void {
  sum.fixed += more.fixed
  if (more.parts.length > 0) sum.parts.push({ entries: () => 1, each: { fixed: 0, parts: more.parts } })
}

function times(each: Cost, entries: number | ((variables: Variables) => number)): Cost {
  if (typeof entries === 'number' && each.parts.length === 0) return { fixed: each.fixed * entries, parts: [] }
  return { fixed: 0, parts: [{ entries: typeof entries === 'number' ? () => entries : entries, each }] }
}

/** Fragments are shared, so that the parts may be reached in many more ways than there are of them. */
function evaluate(cost: Cost, variables: Variables, known: Map<Cost, number>): number {
  const before = known.get(cost)
  if (before !== undefined) return before
  let sum = cost.fixed
  for (const { entries, each } of cost.parts) sum += entries(variables) * evaluate(each, variables, known)
  known.set(cost, sum)
  return sum
}

/** How many entries a page has: a number, or what makes it of the variables. */
function entriesOf({ arguments: given = [] }: FieldNode): number | ((variables: Variables) => number) {
  const sizes = given.flatMap(({ name, value }): (number | string)[] => {
    if (name.value !== 'first' && name.value !== 'last') return []
    if (value.kind === Kind.INT) return [Number(value.value)]
    return value.kind === Kind.VARIABLE ? [value.name.value] : []
  })
  if (!sizes.some((size) => typeof size === 'string')) return pageOf(sizes)
  return (variables) => pageOf(sizes.map((size) => (typeof size === 'number' ? size : variables[size])))
}

/** How many ids are given: a number, or what makes it of the variables. */
function idsOf({ arguments: given = [] }: FieldNode): number | ((variables: Variables) => number) {
  const value = given.find(({ name }) => name.value === 'ids')?.value
  if (value?.kind === Kind.LIST) return Math.min(value.values.length, mostIds)
  if (value?.kind !== Kind.VARIABLE) return 1
  const { value: name } = value.name
  return (variables) => {
    const ids = variables[name]
    if (typeof ids === 'string') return 1
    return Array.isArray(ids) ? Math.min(ids.length, mostIds) : mostIds
  }
}

/** A page that is larger than one may be, or none at all, is refused where it is read. */
function pageOf(sizes: unknown[]): number {
  const given = sizes.filter((size) => typeof size === 'number')
  if (given.length === 0) return defaultPage
  return Math.min(Math.max(0, ...given), largestPage)
}
