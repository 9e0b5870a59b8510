import { InvalidInputError } from '../errors.ts'

export interface PageArgs {
  first?: number | null
  after?: string | null
  last?: number | null
  before?: string | null
}

/** A page that is asked for, `Key` being what a list is ordered by. */
export interface Page<Key> {
  /** How many to read, from whichever end. */
  limit: number
  /** Read backwards, from the end of the list. */
  fromEnd: boolean
  after: Key | null
  before: Key | null
  /** Of those read from the start only so many from their end: for `first` and `last` together. */
  keepLast: number | null
}

export interface Edge<Node> {
  cursor: string
  node: Node
}

export interface PageInfo {
  hasNextPage: boolean
  hasPreviousPage: boolean
  startCursor: string | null
  endCursor: string | null
}

export interface Connection<Node> {
  edges: Edge<Node>[]
  pageInfo: PageInfo
  totalCount(): number | Promise<number>
}

const defaultLimit = 50
const maxLimit = 200

export const encodeCursor = (key: string): string => Buffer.from(key).toString('base64url')

/**
 * Reads a list's arguments, as in Relay's cursor connections specification.
 * @param parseKey turns a decoded cursor into a key; undefined where it is none of ours
 * @throws InvalidInputError for a count below 0 or above 200, or a cursor that this list never gave
 */
export function parsePage<Key>(args: PageArgs, parseKey: (key: string) => Key | undefined): Page<Key> {
  const cursor = (name: 'after' | 'before'): Key | null => {
    const text = args[name]
    if (text == null) return null
    const key = parseKey(Buffer.from(text, 'base64url').toString())
    if (key === undefined) throw invalid(name, 'Must be a cursor that this list gave.')
    return key
  }
  const count = (name: 'first' | 'last'): number | null => {
    const value = args[name]
    if (value == null) return null
    if (value < 0 || value > maxLimit) throw invalid(name, `Must be from 0 to ${maxLimit}.`)
    return value
  }
  const first = count('first')
  const last = count('last')
  const range = { after: cursor('after'), before: cursor('before') }
  if (first === null && last !== null) return { ...range, limit: last, fromEnd: true, keepLast: null }
  return { ...range, limit: first ?? defaultLimit, fromEnd: false, keepLast: last }
}

/** Makes a connection of rows in the order of reading, one more than the page's limit where there are more. */
export function connect<Row, Key>(
  rows: Row[],
  page: Page<Key>,
  keyOf: (row: Row) => string,
  totalCount: () => number | Promise<number>,
): Connection<Row> {
  const hasMore = rows.length > page.limit
  let nodes = rows.slice(0, page.limit)
  if (page.fromEnd) nodes.reverse()
  const cut = page.keepLast === null ? 0 : Math.max(nodes.length - page.keepLast, 0)
  nodes = nodes.slice(cut)
  const edges = nodes.map((node) => ({ cursor: encodeCursor(keyOf(node)), node }))
  return {
    edges,
    pageInfo: {
      hasNextPage: page.fromEnd ? page.before !== null : hasMore,
      hasPreviousPage: page.fromEnd ? hasMore : cut > 0 || page.after !== null,
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
    totalCount,
  }
}

const invalid = (name: string, message: string) => new InvalidInputError([{ path: [name], message }])
