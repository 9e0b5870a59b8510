import type { Usage } from '../storage/rows.ts'
import { builder } from './builder.ts'

export const TokenUsage = builder.objectRef<Usage>('TokenUsage').implement({
  description: 'Tokens that models read and wrote.',
  fields: (t) => ({
    promptTokens: t.exposeInt('promptTokens', { description: 'Tokens that were read.' }),
    completionTokens: t.exposeInt('completionTokens', { description: 'Tokens that were written.' }),
    totalTokens: t.int({
      description: 'Both together.',
      resolve: ({ promptTokens, completionTokens }) => promptTokens + completionTokens,
    }),
    isEstimated: t.exposeBoolean('isEstimated', {
      description: 'True where the provider reported no count and it was estimated at four characters a token.',
    }),
  }),
})
