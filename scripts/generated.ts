import { readdir, readFile } from 'node:fs/promises'
import { isAbsolute, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { generate } from '@graphql-codegen/cli'
import { lexicographicSortSchema, printSchema, type GraphQLSchema } from 'graphql'
import config from '../codegen.ts'

export const projectRoot = fileURLToPath(new URL('../', import.meta.url))

const generatedFolder = 'client/gql/'

/** What the schema and the client's documents should have generated: contents by path, relative to `root`. */
export async function generateFiles(schema: GraphQLSchema, root: string = projectRoot): Promise<Map<string, string>> {
  const printed = `${printSchema(lexicographicSortSchema(schema))}\n`
  const outputs = (await generate(
    { ...config, schema: printed, cwd: root, silent: true, errorsOnly: true },
    false,
  )) as { filename: string; content: string }[]
  const files = new Map([['schema.graphql', printed]])
  for (const { filename, content } of outputs) {
    files.set(isAbsolute(filename) ? relative(root, filename) : filename, content)
  }
  return files
}

/** The paths whose files are missing, differ from `files`, or are no longer generated. */
export async function staleFiles(files: Map<string, string>, root: string = projectRoot): Promise<string[]> {
  const stale: string[] = []
  for (const [path, content] of files) {
    if ((await readFile(join(root, path), 'utf8').catch(() => undefined)) !== content) stale.push(path)
  }
  const present = await readdir(join(root, generatedFolder)).catch(() => [])
  return [...stale, ...present.map((name) => generatedFolder + name).filter((path) => !files.has(path))].sort()
}
