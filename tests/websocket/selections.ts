import {
  getNamedType,
  isAbstractType,
  isCompositeType,
  isObjectType,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLSchema,
} from 'graphql'
import type { Random } from '../support/random.ts'

/** Of a server that takes generated operations, and many of them on one socket. */
export const wideLimits = {
  MAX_QUERY_DEPTH: '100',
  MAX_QUERY_TOKENS: '100000',
  MAX_QUERY_ALIASES: '1000',
  MAX_QUERY_DIRECTIVES: '1000',
  MAX_QUERY_REPEATS: '1000',
  MAX_QUERY_COST: '1000000',
  MAX_QUERY_CHARACTERS: '1000000',
  MAX_SUBSCRIPTIONS_PER_SOCKET: '10000',
  MAX_SOCKETS_PER_USER: '100',
}

/** A generated subscription in the form that can be shared, and in one that has to be executed for itself. */
export interface GeneratedOperation {
  shared: string
  documented: string
  variables: Record<string, unknown>
}

const maxDepth = 4
const maxCharacters = 3_000

/** A random, valid selection over the events of a session: aliases, fragments, directives, nested and doubled fields. */
export function generateOperation(schema: GraphQLSchema, random: Random): GeneratedOperation {
  while (true) {
    const operation = generate(schema, random)
    if (operation.shared.length <= maxCharacters) return operation
  }
}

function generate(schema: GraphQLSchema, random: Random): GeneratedOperation {
  const fragments = new Map<string, { type: string; text: string }>()
  let aliases = 0

  const directives = (): string => {
    if (!random.chance(0.1)) return ''
    const values = ['true', 'false', '$yes', '$no', '$unset']
    const one = `@${random.pick(['skip', 'include'])}(if: ${random.pick(values)})`
    return random.chance(0.2)
      ? ` ${one} @${one.startsWith('@skip') ? 'include' : 'skip'}(if: ${random.pick(values)})`
      : ` ${one}`
  }

  const args = (field: GraphQLField<unknown, unknown>): string => {
    if (field.name !== 'messages') return ''
    // now and then a page that is refused, for an error deep inside
    return random.pick([
      '(first: 2)',
      '(last: 3)',
      '(last: $count)',
      '(first: 0)',
      '(first: 1, before: null)',
      '(first: 500)',
    ])
  }

  const selectField = (field: GraphQLField<unknown, unknown>, depth: number): string => {
    const type = getNamedType(field.type)
    const given = args(field)
    // of some events they can be null, of others not, and two such can't stand side by side under one name
    const differs = ['seq', 'participant'].includes(field.name)
    const needsAlias = given !== '' || differs || random.chance(0.25)
    const name = needsAlias ? `a${aliases++}: ${field.name}` : field.name
    const inside = isCompositeType(type) ? ` ${selectionSet(type, depth + 1)}` : ''
    return `${name}${given}${directives()}${inside}`
  }

  const selectionSet = (type: GraphQLCompositeType, depth: number): string => `{ ${selections(type, depth)} }`

  const selections = (type: GraphQLCompositeType, depth: number): string => {
    const fields = 'getFields' in type ? Object.values(type.getFields()) : []
    const usable = fields.filter((field) => depth < maxDepth || !isCompositeType(getNamedType(field.type)))
    const parts: string[] = []
    const count = random.int(1, depth <= 1 ? 4 : 3)
    for (let index = 0; index < count; index++) {
      const chosen = random.next()
      if (chosen < 0.12) parts.push(random.chance(0.5) ? '__typename' : `a${aliases++}: __typename`)
      else if (chosen < 0.24) parts.push(`...${directives()} ${selectionSet(type, depth)}`)
      else if (chosen < 0.34) parts.push(`... on ${type.name}${directives()} ${selectionSet(type, depth)}`)
      else if (chosen < 0.46) parts.push(`...${fragmentOn(type, depth)}${directives()}`)
      else if (usable.length > 0) {
        const field = random.pick(usable)
        parts.push(selectField(field, depth))
        if (random.chance(0.1)) parts.push(selectField(field, depth))
      }
    }
    if (isAbstractType(type)) {
      for (const possible of schema.getPossibleTypes(type))
        if (random.chance(0.4)) parts.push(`... on ${possible.name}${directives()} ${selectionSet(possible, depth)}`)
    } else if (isObjectType(type) && type.name.endsWith('Connection')) {
      // else most pages would be of nothing
      parts.push(`edges ${selectionSet(getNamedType(type.getFields().edges!.type) as GraphQLCompositeType, depth)}`)
    }
    return parts.length > 0 ? parts.join(' ') : '__typename'
  }

  const fragmentOn = (type: GraphQLCompositeType, depth: number): string => {
    const known = [...fragments].filter(([, fragment]) => fragment.type === type.name && fragment.text !== '')
    if (known.length > 0 && random.chance(0.5)) return random.pick(known)[0]
    const name = `F${fragments.size}`
    fragments.set(name, { type: type.name, text: '' })
    const text = `fragment ${name} on ${type.name} ${selectionSet(type, Math.max(depth, maxDepth - 1))}`
    fragments.set(name, { type: type.name, text })
    return name
  }

  const alias = random.chance(0.3) ? 'root: ' : ''
  const event = schema.getType('SessionEvent') as GraphQLCompositeType
  const root = `${alias}sessionEvents(sessionId: $sessionId, after: $after) ${selectionSet(event, 0)}`
  const rest = [...fragments.values()].map(({ text }) => text).join('\n')
  const uses = (name: string): boolean => `${root} ${rest}`.includes(name)
  const declared = [
    '$sessionId: ID!',
    '$after: Int',
    '$yes: Boolean!',
    '$no: Boolean!',
    '$unset: Boolean = false',
    '$count: Int',
  ]
  const more = declared.filter((declaration) => uses(declaration.split(':')[0]!)).join(', ')
  const head = `subscription Generated(${more})`
  return {
    shared: `${head} { ${root} }\n${rest}`,
    documented: `${head} { ...Root }\nfragment Root on Subscription { ${root} }\n${rest}`,
    variables: { yes: true, no: false, count: random.pick([1, 2, null]) },
  }
}
