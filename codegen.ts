import type { CodegenConfig } from '@graphql-codegen/cli'
import { preset } from '@graphql-codegen/client-preset'
import type { DocumentNode } from 'graphql'
import { collectOperations } from './server/http/persistedOperations.ts'

const persistedOperations = {
  plugins: [{ persistedOperations: {} }],
  pluginMap: {
    persistedOperations: {
      plugin: (_schema: unknown, documents: { document?: DocumentNode }[]) =>
        JSON.stringify(collectOperations(documents.flatMap(({ document }) => document ?? [])), null, 2) + '\n',
    },
  },
}

/** Typed documents for the web client and the client library; plain erasable TypeScript, so Node can run it as it is. */
const config: CodegenConfig = {
  schema: 'schema.graphql',
  documents: ['client/src/**/*.{ts,tsx}', 'client/library/**/*.ts'],
  ignoreNoDocuments: true,
  generates: {
    'client/gql/': {
      preset,
      presetConfig: { fragmentMasking: false },
      config: {
        useTypeImports: true,
        enumType: 'string-literal',
        strictScalars: true,
        scalars: {
          ID: 'string',
          DateTime: 'string',
          JSONObject: 'Record<string, unknown>',
        },
        importExtension: '.ts',
      },
    },
    'client/gql/persistedOperations.json': {
      preset: {
        buildGeneratesSection: ({ baseOutputDir, schema, documents, config }) => [
          { filename: baseOutputDir, schema, documents, config, ...persistedOperations },
        ],
      },
    },
  },
}

export default config
