import {
  BREAK,
  getOperationAST,
  getVariableValues,
  GraphQLError,
  valueFromASTUntyped,
  visit,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type Source,
  type VariableDefinitionNode,
} from 'graphql'
import { compileQuery, isCompiledQuery, type CompiledQuery } from 'graphql-jit'

/** Runs an operation as graphql-js' `execute` would. */
export type Executor = (
  root: unknown,
  context: unknown,
  variables: Record<string, unknown>,
) => ExecutionResult | Promise<ExecutionResult>

interface Uses {
  count: number
  executor: Executor | null | undefined
}

/** Compiles operations to code that gives what graphql-js gives, at a fraction of its cost. */
export class Compiler {
  readonly #uses = new WeakMap<DocumentNode, Map<string, Uses>>()

  /**
   * The compiled operation; undefined where graphql-jit can't compile it, or where it was not yet asked for `minUses`
   * times: what is executed once or twice is not worth the milliseconds.
   */
  compiled(args: Pick<ExecutionArgs, 'schema' | 'document' | 'operationName'>, minUses = 1): Executor | undefined {
    const { schema, document, operationName } = args
    let operations = this.#uses.get(document)
    if (!operations) this.#uses.set(document, (operations = new Map<string, Uses>()))
    const name = operationName ?? ''
    let uses = operations.get(name)
    if (!uses) operations.set(name, (uses = { count: 0, executor: undefined }))
    if (uses.executor === undefined && ++uses.count >= minUses) {
      uses.executor = hasDirectives(document) ? null : compile(schema, document, operationName)
    }
    return uses.executor ?? undefined
  }
}

/** graphql-jit loses fields where @skip or @include stands in a document that has fragments. */
function hasDirectives(document: DocumentNode): boolean {
  let found = false
  visit(document, {
    Directive() {
      found = true
      return BREAK
    },
  })
  return found
}

function compile(
  schema: GraphQLSchema,
  document: DocumentNode,
  operationName: string | null | undefined,
): Executor | null {
  const operation = getOperationAST(document, operationName)
  const query = compileQuery(schema, document, operationName ?? undefined)
  return operation && isCompiledQuery(query) ? executorOf(query, schema, operation, document.loc?.source) : null
}

/** As many errors of variables as graphql-js's `execute` reports. */
const maxVariableErrors = 50

function executorOf(
  { query }: CompiledQuery,
  schema: GraphQLSchema,
  operation: OperationDefinitionNode,
  source: Source | undefined,
): Executor {
  const definitions = operation.variableDefinitions ?? []
  const finished = (result: ExecutionResult): ExecutionResult =>
    result.errors?.length ? { ...result, errors: result.errors.map((error) => relocated(error, source)) } : result
  return (root, context, variables) => {
    // graphql-jit refuses a required variable that is left to its default, and words its errors differently
    const { errors } = getVariableValues(schema, definitions, variables, { maxErrors: maxVariableErrors })
    if (errors) return { errors }
    const result = query(root, context, withDefaults(definitions, variables)) as
      ExecutionResult | Promise<ExecutionResult>
    return result instanceof Promise ? result.then(finished) : finished(result)
  }
}

function withDefaults(
  definitions: readonly VariableDefinitionNode[],
  variables: Record<string, unknown>,
): Record<string, unknown> {
  const missing = definitions.filter(
    ({ variable, defaultValue }) => defaultValue && variables[variable.name.value] === undefined,
  )
  if (missing.length === 0) return variables
  const defaults = missing.map(({ variable, defaultValue }) => [
    variable.name.value,
    valueFromASTUntyped(defaultValue!),
  ])
  return { ...variables, ...Object.fromEntries(defaults) }
}

/** A compiled operation knows an error's line and column, but not the place in the text that graphql-js tells them by. */
function relocated(error: GraphQLError, source: Source | undefined): GraphQLError {
  if (error.nodes || !error.locations || !source) return error
  const lines = source.body.split('\n')
  const positions = error.locations.map(({ line, column }) =>
    lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, column - 1),
  )
  const { message, path, originalError, extensions } = error
  return new GraphQLError(message, { source, positions, path, originalError, extensions })
}
