import { GraphQLError, Kind, parse, type DocumentNode, type GraphQLSchema } from 'graphql'
import type { Plugin } from 'graphql-yoga'
import type { Config } from '../config/config.ts'
import { costOf } from './operationCost.ts'
import { fragmentsOf, shapeOf } from './operationShape.ts'

type Limits = Pick<
  Config,
  | 'maxQueryCharacters'
  | 'maxQueryTokens'
  | 'maxQueryDepth'
  | 'maxQueryAliases'
  | 'maxQueryDirectives'
  | 'maxQueryRepeats'
  | 'maxQueryCost'
>

type Variables = Record<string, unknown>

/** What is known of a document for good, and what has to be asked anew with each request's variables. */
interface Measured {
  refusal: string | null
  costs: ((variables: Variables) => number)[]
}

/**
 * Refuses what is too large before it is validated: by its text, by its shape, and by what it may cost. A document is
 * measured once, since Yoga parses a text once; only pages whose size is a variable are counted again.
 */
export function limitOperations(limits: Limits): Plugin {
  const documents = new WeakMap<DocumentNode, Measured>()
  return {
    onParse({ params: { source }, setParseFn }) {
      const length = typeof source === 'string' ? source.length : source.body.length
      if (length > limits.maxQueryCharacters)
        throw refused(tooMany('characters', length, limits.maxQueryCharacters, 'MAX_QUERY_CHARACTERS'))
      setParseFn((text, options) => parse(text, { ...options, maxTokens: limits.maxQueryTokens }))
      return ({ result }) => {
        if (result instanceof GraphQLError && result.message.endsWith('tokens. Parsing aborted.'))
          throw refused(
            `The operation has more than ${inWords(limits.maxQueryTokens)} tokens, the most that are taken (MAX_QUERY_TOKENS).`,
          )
      }
    },
    onValidate({ params: { schema, documentAST }, context }) {
      let measured = documents.get(documentAST)
      if (!measured) documents.set(documentAST, (measured = measure(schema, documentAST, limits)))
      if (measured.refusal) throw refused(measured.refusal)
      if (measured.costs.length === 0) return
      const variables = (context as { params?: { variables?: Variables | null } }).params?.variables ?? {}
      for (const cost of measured.costs) {
        const tooDear = dear(cost(variables), limits.maxQueryCost)
        if (tooDear) throw refused(tooDear)
      }
    },
  }
}

function measure(schema: GraphQLSchema, document: DocumentNode, limits: Limits): Measured {
  const fragments = fragmentsOf(document)
  const costs: Measured['costs'] = []
  for (const operation of document.definitions) {
    if (operation.kind !== Kind.OPERATION_DEFINITION) continue
    const { depth, aliases, directives, repeats } = shapeOf(operation, fragments)
    for (const [what, count, limit, setting] of [
      ['levels of fields', depth, limits.maxQueryDepth, 'MAX_QUERY_DEPTH'],
      ['aliases', aliases, limits.maxQueryAliases, 'MAX_QUERY_ALIASES'],
      ['directives', directives, limits.maxQueryDirectives, 'MAX_QUERY_DIRECTIVES'],
      ['repeats of one field in a selection', repeats, limits.maxQueryRepeats, 'MAX_QUERY_REPEATS'],
    ] as const)
      if (count > limit) return { refusal: tooMany(what, count, limit, setting), costs: [] }
    const cost = costOf(schema, operation, fragments)
    if (typeof cost === 'function') costs.push(cost)
    else if (cost > limits.maxQueryCost) return { refusal: dear(cost, limits.maxQueryCost), costs: [] }
  }
  return { refusal: null, costs }
}

const inWords = (count: number): string => count.toLocaleString('en')

const tooMany = (what: string, count: number, limit: number, setting: string): string =>
  `The operation has ${inWords(count)} ${what}; at most ${inWords(limit)} are taken (${setting}).`

const dear = (cost: number, limit: number): string | null =>
  cost > limit
    ? `The operation costs ${inWords(Math.ceil(cost))}; at most ${inWords(limit)} is taken (MAX_QUERY_COST). Ask for smaller pages.`
    : null

const refused = (message: string): GraphQLError =>
  new GraphQLError(message, { extensions: { code: 'INVALID_INPUT', http: { status: 400 } } })
