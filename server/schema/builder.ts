import SchemaBuilder from '@pothos/core'
import ErrorsPlugin from '@pothos/plugin-errors'
import type { Context } from '../context.ts'

/** Fields are non-null unless they say `nullable: true`. Who may ask for a root field is said in `guards/accessTable.ts`. */
export const builder = new SchemaBuilder<{
  Context: Context
  DefaultFieldNullability: false
  Scalars: {
    ID: { Input: string; Output: string }
    DateTime: { Input: unknown; Output: Date }
    JSONObject: { Input: unknown; Output: Record<string, unknown> }
  }
}>({
  plugins: [ErrorsPlugin],
  defaultFieldNullability: false,
})

export type SchemaTypes = typeof builder.$inferSchemaTypes
