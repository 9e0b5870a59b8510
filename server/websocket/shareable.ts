import {
  getArgumentValues,
  getNamedType,
  getOperationAST,
  getVariableValues,
  Kind,
  TypeInfo,
  visit,
  visitWithTypeInfo,
  type DocumentNode,
  type ExecutionArgs,
  type FieldNode,
  type GraphQLField,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql'

/** A subscription that follows a session and whose results can be made once for all who ask the same. */
export interface SharedFollow {
  /** Same for all whose results are the same at the same event. */
  key: string
  sessionId: string
  after: number | null
}

/** What of a document does not depend on who asks and with which variables. */
interface Analysis {
  field: FieldNode
  definition: GraphQLField<unknown, unknown>
  operation: OperationDefinitionNode
  /** Variable that is `after` and nothing else, so that it makes no difference to the results. */
  positionVariable: string | null
  dependsOnViewer: boolean
}

/** Tells which subscriptions can share; remembers what it found out about a document. */
export class Sharing {
  readonly #analyses = new WeakMap<DocumentNode, Map<string, Analysis | null>>()
  readonly #ids = new WeakMap<DocumentNode, number>()
  #nextId = 0

  /** @returns undefined where the subscription has to be executed for itself */
  describe(args: ExecutionArgs, viewerId: string): SharedFollow | undefined {
    const analysis = this.#analyse(args.schema, args.document, args.operationName ?? '')
    if (!analysis) return undefined
    const { field, definition, operation, positionVariable, dependsOnViewer } = analysis
    const { coerced } = getVariableValues(args.schema, operation.variableDefinitions ?? [], args.variableValues ?? {})
    if (!coerced) return undefined
    const { sessionId, after } = getArgumentValues(definition, field, coerced) as {
      sessionId: string
      after?: number | null
    }
    const others = Object.entries(coerced)
      .filter(([name]) => name !== positionVariable)
      .sort(([a], [b]) => (a < b ? -1 : 1))
    const key = JSON.stringify([
      this.#idOf(args.document),
      args.operationName ?? '',
      sessionId.toLowerCase(),
      others,
      dependsOnViewer ? viewerId : null,
    ])
    return { key, sessionId: sessionId.toLowerCase(), after: after ?? null }
  }

  /** Yoga parses a text once and gives the same document for it again, so the document stands for the text. */
  #idOf(document: DocumentNode): number {
    let id = this.#ids.get(document)
    if (id === undefined) this.#ids.set(document, (id = this.#nextId++))
    return id
  }

  #analyse(schema: GraphQLSchema, document: DocumentNode, operationName: string): Analysis | null {
    let known = this.#analyses.get(document)
    if (!known) this.#analyses.set(document, (known = new Map()))
    let analysis = known.get(operationName)
    if (analysis === undefined) known.set(operationName, (analysis = analyse(schema, document, operationName)))
    return analysis
  }
}

function analyse(schema: GraphQLSchema, document: DocumentNode, operationName: string): Analysis | null {
  const operation = getOperationAST(document, operationName || undefined)
  if (operation?.operation !== 'subscription') return null
  const [field, ...more] = operation.selectionSet.selections
  // a root field behind a fragment or a directive is rare, and goes the documented way
  if (field?.kind !== Kind.FIELD || more.length > 0 || (field.directives?.length ?? 0) > 0) return null
  const definition = schema.getSubscriptionType()?.getFields()[field.name.value]
  if (definition?.name !== 'sessionEvents') return null
  return {
    field,
    definition,
    operation,
    positionVariable: positionVariable(document, field),
    dependsOnViewer: dependsOnViewer(schema, document),
  }
}

function positionVariable(document: DocumentNode, field: FieldNode): string | null {
  const value = field.arguments?.find(({ name }) => name.value === 'after')?.value
  if (value?.kind !== Kind.VARIABLE) return null
  let uses = 0
  visit(document, {
    Variable(node, _key, parent) {
      const isDefinition = parent && 'kind' in parent && parent.kind === Kind.VARIABLE_DEFINITION
      if (node.name.value === value.name.value && !isDefinition) uses++
    },
  })
  return uses === 1 ? value.name.value : null
}

function dependsOnViewer(schema: GraphQLSchema, document: DocumentNode): boolean {
  let found = false
  const typeInfo = new TypeInfo(schema)
  visit(
    document,
    visitWithTypeInfo(typeInfo, {
      Field() {
        const definition = typeInfo.getFieldDef()
        const type = definition && getNamedType(definition.type)
        if (definition?.extensions.viewerDependent || type?.extensions.viewerDependent) found = true
      },
    }),
  )
  return found
}
