import { valueFromASTUntyped } from 'graphql'
import { builder } from './builder.ts'

builder.scalarType('DateTime', {
  description: 'A moment: ISO 8601 in UTC with milliseconds, e.g. `2026-11-20T12:00:00.000Z`.',
  serialize: (value) => value.toISOString(),
  // Whatever it is passes here: the resolver refuses what is no moment with an InvalidInputError that names the field.
  parseValue: (value) => value,
})

builder.scalarType('JSONObject', {
  description: 'Any JSON object.',
  serialize: (value) => value,
  // Whatever it is passes here: the resolver refuses what is no object with an InvalidInputError that names the field.
  parseValue: (value) => value,
  parseLiteral: (node, variables) => valueFromASTUntyped(node, variables),
})
