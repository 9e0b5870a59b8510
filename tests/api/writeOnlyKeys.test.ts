import {
  getNamedType,
  isCompositeType,
  isInterfaceType,
  isNonNullType,
  isUnionType,
  type GraphQLNamedType,
  type GraphQLObjectType,
} from 'graphql'
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import { digestTables } from '../../faults/support/tables.ts'
import { rootFields, shownWithoutRead, type Row } from '../../server/guards/accessTable.ts'
import { shownPaths } from '../../server/schema/resultScope.ts'
import { attemptsIn, makeWorld, printedSchema, roomy, type Attempt, type World } from '../support/accessMatrix.ts'
import { startApp, type TestApp } from '../support/app.ts'
import { openSocket, post } from '../support/clients.ts'
import { createSession, mutate, send as sendAs } from '../support/operations.ts'

const schema = printedSchema()
const mutations = Object.values(schema.getMutationType()!.getFields())

const successOf = (name: string): GraphQLObjectType => {
  const result = getNamedType(schema.getMutationType()!.getFields()[name]!.type)
  if (!isUnionType(result)) throw new Error(`${name} has no result union.`)
  return result.getTypes().find((type) => type.name.endsWith('Success'))!
}

interface Path {
  path: string[]
  selection: string
}

/** Ways from an object to the fields below it, three levels down, each as a selection. */
function pathsBelow(type: GraphQLNamedType, levels: number): Path[] {
  if (!('getFields' in type)) return []
  const fields = Object.values((type as GraphQLObjectType).getFields())
  return fields
    .filter(({ args }) => !args.some((arg) => isNonNullType(arg.type)))
    .flatMap((field): Path[] => {
      const inner = getNamedType(field.type)
      if (!isCompositeType(inner)) return [{ path: [field.name], selection: field.name }]
      if (levels === 0 || isInterfaceType(inner))
        return [{ path: [field.name, '__typename'], selection: `${field.name} { __typename }` }]
      return pathsBelow(inner, levels - 1).map(({ path, selection }) => ({
        path: [field.name, ...path],
        selection: `${field.name} { ${selection} }`,
      }))
    })
}

describe('a key that may only write', () => {
  let app: TestApp
  let world: World
  let key: string
  let attempts: Map<string, Attempt>
  beforeAll(async () => {
    app = await startApp({ env: { ...roomy, MUTATIONS_PER_MINUTE: '1000000' } })
    world = await makeWorld(() => app, 'writeonly')
    attempts = new Map(attemptsIn(schema, world).map((attempt) => [attempt.action, attempt]))
    const made = await mutate<{ key: string }>(
      ...([app, world.people.owner, 'createApiKey', { name: 'writer', scopes: ['WRITE'] }, 'key'] as const),
    )
    key = made.key!
  })
  afterAll(() => app?.stop())

  const digests = () => digestTables({ all: (sql: string) => app.services.storage.read.all(sql) } as never, true)
  const ask = (field: string, selection: string) => {
    const { variables, query } = attempts.get(field)!
    const opening = query.slice(0, query.indexOf('{'))
    const passed = 'input' in variables ? '(input: $input)' : ''
    return post(app, `${opening} { ${field}${passed} { __typename ${selection} } }`, variables, { token: key })
  }

  const writing = mutations.filter(({ name }) => (rootFields.Mutation as Record<string, Row>)[name]!.scope === 'write')

  test.each(writing.map(({ name }) => name))(
    'is refused by %s what leads further than what it makes, before anything is done',
    async (name) => {
      const success = successOf(name)
      const before = await digests()
      let refused = 0
      for (const field of Object.values(success.getFields())) {
        const type = getNamedType(field.type)
        if (!isCompositeType(type)) continue
        const allowed = shownPaths(success.name, field.name)
        for (const { path, selection } of pathsBelow(type, 1)) {
          if (allowed.includes(path.join('.'))) continue
          const { body } = await ask(name, `... on ${success.name} { ${field.name} { ${selection} } }`)
          expect(
            body.errors?.map(({ extensions }) => extensions?.code),
            `${field.name}.${path.join('.')}`,
          ).toEqual(['FORBIDDEN'])
          expect(body.errors![0]!.message).toMatch(/takes an API key with the scope "read"/)
          expect(body.data?.[name] ?? null).toBeNull()
          refused++
        }
      }
      const hasObjects = Object.values(success.getFields()).some(({ type }) => isCompositeType(getNamedType(type)))
      expect(refused > 0).toBe(hasObjects)
      expect(await digests()).toEqual(before)
    },
  )

  test.each(writing.map(({ name }) => name).filter((name) => name !== 'deleteEmptySessions' && name !== 'signIn'))(
    'is shown by %s what it makes',
    async (name) => {
      const success = successOf(name)
      const selections = Object.values(success.getFields()).map((field) => {
        const type = getNamedType(field.type)
        if (!isCompositeType(type)) return field.name
        const parts = shownPaths(success.name, field.name).map((path) =>
          path.split('.').reduceRight((inside, part) => (inside ? `${part} { ${inside} }` : part), ''),
        )
        return `${field.name} { __typename ${parts.join(' ')} }`
      })
      const { body } = await ask(
        name,
        `... on ${success.name} { ${selections.join(' ')} } ... on Error { code message }`,
      )
      expect(body.errors, JSON.stringify(body)).toBeUndefined()
      // nothing of what was said or done there before
      expect(JSON.stringify(body)).not.toContain(world.words)
    },
  )

  it('finds no way around by fragments, aliases, directives or a second mutation', async () => {
    const sessionId = await createSession(app, world.people.owner, { title: world.words })
    await sendAs(app, world.people.owner, sessionId, world.words, { respond: false })
    const inputs = `$id: ID!`
    const session = '{ messages { nodes { content } } }'
    const update = (selection: string) => `updateSession(input: { sessionId: $id, title: "T" }) { ${selection} }`
    for (const document of [
      `mutation (${inputs}) { ${update(`...F`)} } fragment F on UpdateSessionSuccess { session { ...G } } fragment G on Session ${session}`,
      `mutation (${inputs}) { ${update(`... on UpdateSessionSuccess { a: session { b: messages { c: totalCount } } }`)} }`,
      `mutation (${inputs}) { ${update(`... on UpdateSessionSuccess { session { ... on Node { ... on Session ${session} } } }`)} }`,
      `mutation (${inputs}) { ${update(`... on UpdateSessionSuccess { session { id } session @include(if: true) { title } }`)} }`,
      `mutation (${inputs}) { a: ${update('__typename')} b: ${update('... on UpdateSessionSuccess { session { owner { name } } }')} }`,
    ]) {
      const { body } = await post(app, document, { id: sessionId }, { token: key })
      expect(
        body.errors?.map(({ extensions }) => extensions?.code),
        document,
      ).toEqual(['FORBIDDEN'])
      expect(JSON.stringify(body.data ?? null)).not.toContain(world.words)
    }
    const socket = await openSocket(app, { token: key })
    socket.subscribe('1', `mutation (${inputs}) { ${update(`... on UpdateSessionSuccess { session ${session} }`)} }`, {
      id: sessionId,
    })
    expect(JSON.stringify((await socket.nextOf('1')).payload)).toContain('FORBIDDEN')
    await socket.close()
  })

  it('is shown an answer by no repeat of the message that asked for it', async () => {
    const sessionId = await createSession(app, world.people.owner)
    const id = crypto.randomUUID()
    const send = (selection: string) =>
      post<{ sendMessage: object }>(
        ...([
          app,
          `mutation ($s: ID!, $id: ID!) { sendMessage(input: { sessionId: $s, id: $id, content: "Hello [[tokens=3]]" }) {
             __typename ... on SendMessageSuccess { ${selection} } } }`,
          { s: sessionId, id },
          { token: key },
        ] as const),
      )
    const sent = await send('sent { id content createdAt } reply { id } generation { id }')
    expect(sent.body.data?.sendMessage).toMatchObject({ sent: { id, content: 'Hello [[tokens=3]]' } })
    for (const further of [
      'reply { content }',
      'reply { status }',
      'generation { finishReason }',
      'sent { parent { content } }',
    ])
      expect((await send(further)).body.errors, further).toMatchObject([{ extensions: { code: 'FORBIDDEN' } }])
  })
})

test('a key that may read as well is shown all', async () => {
  const app = await startApp()
  try {
    const { people, sessionId, words } = await makeWorld(() => app, 'both')
    const made = await mutate<{ key: string }>(
      ...([app, people.owner, 'createApiKey', { name: 'both', scopes: ['WRITE', 'READ'] }, 'key'] as const),
    )
    const shown = await mutate<object>(
      ...([app, { ...people.owner, token: made.key! }, 'updateSession', { sessionId, isArchived: true }] as const),
      'session { title messages { nodes { content } } }',
    )
    expect(JSON.stringify(shown)).toContain(words)
  } finally {
    await app.stop()
  }
})

test('the table names fields and paths that there are', () => {
  for (const [field, paths] of Object.entries(shownWithoutRead)) {
    const [success, name] = field.split('.')
    const type = getNamedType((schema.getType(success!) as GraphQLObjectType).getFields()[name!]!.type)
    const known = pathsBelow(type, 1).map(({ path }) => path.join('.'))
    expect(known, field).toEqual(expect.arrayContaining([...paths]))
  }
})
