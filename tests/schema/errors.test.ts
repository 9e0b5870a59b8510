import { execute, graphql, GraphQLError, isInterfaceType, isObjectType, isUnionType, parse } from 'graphql'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { User } from '../../server/entities/user.ts'
import * as failures from '../../server/errors.ts'
import { sessionEvent } from '../../server/log/event.ts'
import { toGraphQLError } from '../../server/schema/errors.ts'
import { schema } from '../../server/schema/schema.ts'
import { openHouse, type House } from '../resolvers/house.ts'

let house: House
let ada: User
beforeAll(async () => {
  house = await openHouse('SQLite')
  ada = await house.user('Ada')
})
afterAll(() => house.close())

const run = (source: string, variableValues?: Record<string, unknown>) =>
  graphql({ schema, source, variableValues, contextValue: house.ctx(ada) })

const create = `mutation ($input: CreateSessionInput!) {
  createSession(input: $input) {
    __typename
    ... on CreateSessionSuccess { session { title metadata settings { temperature tools } } }
    ... on Error { code message }
    ... on InvalidInputError { fields { path message } }
  }
}`

test('a failure that a mutation names is data', async () => {
  expect(await run(create, { input: { settings: { temperature: 3 }, metadata: [1] } })).toEqual({
    data: {
      createSession: {
        __typename: 'InvalidInputError',
        code: 'INVALID_INPUT',
        message: expect.stringContaining('settings.temperature: Must be from 0 to 2.'),
        fields: [
          { path: ['settings', 'temperature'], message: 'Must be from 0 to 2.' },
          { path: ['metadata'], message: 'Must be a JSON object.' },
        ],
      },
    },
  })
  expect(await run(create, { input: { model: 'none' } })).toMatchObject({
    data: { createSession: { __typename: 'NotFoundError', code: 'NOT_FOUND' } },
  })
})

test('metadata may be written in the document, variables inside it too', async () => {
  const source = `mutation ($tag: String) {
    createSession(input: { metadata: { a: [1, 2.5, true, null, "x", { tag: $tag }], __proto__: { b: 1 } } }) {
      ... on CreateSessionSuccess { session { metadata } }
    }
  }`
  const { data, errors } = await run(source, { tag: 't' })
  expect(errors).toBeUndefined()
  expect(JSON.stringify(data)).toBe(
    '{"createSession":{"session":{"metadata":{"a":[1,2.5,true,null,"x",{"tag":"t"}],"__proto__":{"b":1}}}}}',
  )
})

test('a failure that is no member of the result goes on as a top-level error', async () => {
  const source = `mutation { createSession(input: {}) { __typename } }`
  const providers = { ...house.services.providers, defaultModel: () => Promise.reject(new Error('secret')) }
  const result = await graphql({ schema, source, contextValue: { ...house.ctx(ada), providers } })
  expect(result.errors?.map((error) => toGraphQLError(error).toJSON())).toEqual([
    {
      message: 'Unexpected error.',
      locations: [{ line: 1, column: 12 }],
      path: ['createSession'],
      extensions: { code: 'INTERNAL' },
    },
  ])
})

test('what a resolver should not have given is a fault of the server, whoever says so', () => {
  const seen: unknown[] = []
  for (const message of [
    'Cannot return null for non-nullable field Message.id.',
    'Enum "E" cannot represent value: 1',
  ]) {
    const error = new GraphQLError(message, { path: ['message', 'id'] })
    expect(toGraphQLError(error, (cause) => seen.push(cause)).toJSON()).toMatchObject({
      message: 'Unexpected error.',
      extensions: { code: 'INTERNAL' },
    })
    expect(seen.pop()).toBe(error)
  }
  const variable = new GraphQLError(
    'Variable "$after" got invalid value 1.5; Int cannot represent non-integer value: 1.5',
  )
  expect(toGraphQLError(variable).extensions.code).toBe('INVALID_INPUT')
})

test('what the outside sees of an error is its code and what it may act on, and nothing of any other', () => {
  const seen: unknown[] = []
  const show = (error: unknown) => toGraphQLError(error, (cause) => seen.push(cause)).toJSON()
  const fields = [{ path: ['first'], message: 'Must be from 0 to 200.' }]
  expect(show(new failures.InvalidInputError(fields))).toEqual({
    message: 'first: Must be from 0 to 200.',
    extensions: { code: 'INVALID_INPUT', fields },
  })
  const limited = new failures.RateLimitedError('Too fast.', 5, 'TOO_MANY_GENERATIONS')
  expect(show(new GraphQLError('Too fast.', { originalError: limited, path: ['a'] }))).toMatchObject({
    path: ['a'],
    extensions: { code: 'TOO_MANY_GENERATIONS', retryAfterMs: 5 },
  })
  expect(show(new GraphQLError('Wrong variable.', { extensions: { http: {} } }))).toEqual({
    message: 'Wrong variable.',
    extensions: { http: {}, code: 'INVALID_INPUT' },
  })
  const coded = new GraphQLError('Syntax Error', { extensions: { code: 'GRAPHQL_PARSE_FAILED' } })
  expect(show(coded)).toEqual(coded.toJSON())
  expect(seen).toEqual([])
  const cause = new Error('SELECT secret')
  expect(show(new GraphQLError(cause.message, { originalError: cause }))).toEqual({
    message: 'Unexpected error.',
    extensions: { code: 'INTERNAL' },
  })
  expect(seen).toEqual([cause])
  expect(show('text').message).toBe('Unexpected error.')
})

test('every result union has one success and else errors of the interface', () => {
  const unions = Object.values(schema.getTypeMap()).filter((type) => isUnionType(type) && type.name.endsWith('Result'))
  expect(unions.length).toBeGreaterThan(10)
  for (const union of unions) {
    if (!isUnionType(union)) continue
    const isError = (name: string) => {
      const type = schema.getType(name)
      return isObjectType(type) && type.getInterfaces().some((of) => isInterfaceType(of) && of.name === 'Error')
    }
    const names = union.getTypes().map(({ name }) => name)
    expect(names.filter((name) => !isError(name))).toEqual([`${union.name.replace(/Result$/, '')}Success`])
  }
})

test('a delta is executed without a promise and without a read', async () => {
  const event = sessionEvent({ kind: 'MessageDelta', sessionId: 's', seq: 7, messageId: 'm', offset: 3, text: 'abc' })
  const document = parse(
    'subscription { sessionEvents(sessionId: "s") { __typename seq ... on MessageDelta { messageId offset text } } }',
  )
  house.reads.length = 0
  const result = execute({ schema, document, rootValue: event, contextValue: house.ctx(ada) })
  expect(result).not.toBeInstanceOf(Promise)
  expect(result).toEqual({
    data: { sessionEvents: { __typename: 'MessageDelta', seq: 7, messageId: 'm', offset: 3, text: 'abc' } },
  })
  expect(house.reads).toEqual([])
})
