import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { GraphQLError, Kind, parse, print, visit, type DefinitionNode, type DocumentNode } from 'graphql'
import type { Plugin } from 'graphql-yoga'

const collected = new URL('../../client/gql/persistedOperations.json', import.meta.url)

/** What of a request names an operation. */
export interface OperationParams {
  query?: unknown
  /** `sha256:<hex>`, or the hex alone. */
  documentId?: unknown
  extensions?: Record<string, unknown> | null | undefined
}

/**
 * Id of a document: the SHA-256 of what it asks for, in hex. The order of its definitions does not count, nor does
 * `__typename`, which clients add by themselves.
 */
export function operationId(document: DocumentNode): string {
  const bare = visit(document, {
    Field: ({ name, alias }) => (name.value === '__typename' && !alias ? null : undefined),
  })
  const definitions = [...bare.definitions].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
  return createHash('sha256')
    .update(print({ kind: Kind.DOCUMENT, definitions }))
    .digest('hex')
}

const nameOf = (definition: DefinitionNode): string =>
  `${definition.kind} ${'name' in definition ? definition.name?.value : ''}`

/** The operations that codegen collected from the web client and the client library. */
export class PersistedOperations {
  readonly #texts: ReadonlyMap<string, string>
  readonly #known = new WeakMap<DocumentNode, boolean>()

  constructor(texts: Readonly<Record<string, string>>) {
    this.#texts = new Map(Object.entries(texts))
  }

  static read(file: URL = collected): PersistedOperations {
    return new PersistedOperations(JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>)
  }

  has(document: DocumentNode): boolean {
    let isKnown = this.#known.get(document)
    if (isKnown === undefined) this.#known.set(document, (isKnown = this.#texts.has(operationId(document))))
    return isKnown
  }

  /** The text that a request means by an id; undefined where it has one of its own, or names none. */
  textOf({ query, documentId, extensions }: OperationParams): string | undefined {
    if (query) return undefined
    const { persistedQuery } = (extensions ?? {}) as { persistedQuery?: { sha256Hash?: unknown } | null }
    const id = documentId ?? persistedQuery?.sha256Hash
    if (typeof id !== 'string') return undefined
    const text = this.#texts.get(id.replace(/^sha256:/, '').toLowerCase())
    if (text === undefined) throw refused()
    return text
  }
}

/** Refuses every operation that is not among the persisted ones. */
export const onlyPersisted = (operations: PersistedOperations): Plugin => ({
  onParams({ params, setParams }) {
    const known = { ...params, query: operations.textOf(params) ?? params.query }
    // Yoga takes no parameter that it does not know
    delete (known as OperationParams).documentId
    setParams(known)
  },
  onValidate({ params: { documentAST } }) {
    if (!operations.has(documentAST as DocumentNode)) throw refused()
  },
})

const refused = (): GraphQLError =>
  new GraphQLError(
    'This server takes only the operations of its web client and client library (PERSISTED_ONLY): send one of them, or its id.',
    { extensions: { code: 'FORBIDDEN', http: { status: 403 } } },
  )

/** What codegen writes: the text of each operation with its fragments, by its id. */
export function collectOperations(documents: readonly DocumentNode[]): Record<string, string> {
  const definitions = documents.flatMap((document) => document.definitions)
  const fragments = new Map(
    definitions.flatMap((one) => (one.kind === Kind.FRAGMENT_DEFINITION ? [[one.name.value, one] as const] : [])),
  )
  const texts = definitions
    .filter(({ kind }) => kind === Kind.OPERATION_DEFINITION)
    .map((operation) => {
      const needed = new Set<DefinitionNode>([operation])
      for (const definition of needed)
        visit(definition, {
          FragmentSpread({ name }) {
            needed.add(fragments.get(name.value)!)
          },
        })
      return print({ kind: Kind.DOCUMENT, definitions: [...needed] })
    })
  const entries = texts.map((text) => [operationId(parse(text)), text] as const)
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Names of the operations that codegen collected; none where there is no such file. */
export function collectedOperationNames(file: URL = collected): Set<string> {
  if (!existsSync(file)) return new Set()
  const texts = Object.values(JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>)
  return new Set(texts.flatMap((text) => /^\s*(?:query|mutation|subscription)\s+(\w+)/m.exec(text)?.[1] ?? []))
}
