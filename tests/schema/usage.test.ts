import { graphql, GraphQLObjectType, GraphQLSchema } from 'graphql'
import { expect, it } from 'vitest'
import { schema } from '../../server/schema/schema.ts'

it('tokens beyond what an Int holds are shown as the largest Int', async () => {
  const usage = schema.getType('TokenUsage') as GraphQLObjectType
  const query = new GraphQLObjectType({
    name: 'Query',
    fields: {
      usage: {
        type: usage,
        resolve: () => ({ promptTokens: 2 ** 53 - 1, completionTokens: 2 ** 31 - 1, isEstimated: false }),
      },
    },
  })
  const result = await graphql({
    schema: new GraphQLSchema({ query }),
    source: '{ usage { promptTokens completionTokens totalTokens } }',
  })
  const most = 2 ** 31 - 1
  expect(result.errors).toBeUndefined()
  expect(result.data?.usage).toEqual({ promptTokens: most, completionTokens: most, totalTokens: most })
})
