import type { Usage } from '../storage/rows.ts'
import { builder } from './builder.ts'

/** The largest number that GraphQL's Int holds; a larger count is shown as this one. */
const largestInt = 2 ** 31 - 1
const shown = (tokens: number): number => Math.min(tokens, largestInt)

export const TokenUsage = builder.objectRef<Usage>('TokenUsage').implement({
  description: 'Tokens that models read and wrote.',
  fields: (t) => ({
    promptTokens: t.int({
      description: 'Tokens that were read, at most 2,147,483,647.',
      resolve: ({ promptTokens }) => shown(promptTokens),
    }),
    completionTokens: t.int({
      description: 'Tokens that were written, at most 2,147,483,647.',
      resolve: ({ completionTokens }) => shown(completionTokens),
    }),
    totalTokens: t.int({
      description: 'Both together, at most 2,147,483,647.',
      resolve: ({ promptTokens, completionTokens }) => shown(promptTokens + completionTokens),
    }),
    isEstimated: t.exposeBoolean('isEstimated', {
      description: 'True where the provider reported no count and it was estimated at four characters a token.',
    }),
  }),
})
