import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { buildSchema } from 'graphql'
import { expect, test } from 'vitest'
import { generateFiles, staleFiles } from '../../scripts/generated.ts'
import { schema } from '../../server/schema/schema.ts'

test('schema.graphql and the typed documents are those of this code', async () => {
  expect(await staleFiles(await generateFiles(schema))).toEqual([])
})

test('a changed schema, a changed document and a leftover are each noticed', async () => {
  const root = await mkdtemp(join(tmpdir(), 'parley-generated-'))
  const write = async (path: string, content: string) => {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), content)
  }
  const query = (name: string, field: string) => `graphql(\`query ${name} { ${field} }\`)`
  try {
    const before = buildSchema('type Query { one: Int two: Int }')
    await write('client/src/page.ts', query('First', 'one'))
    const files = await generateFiles(before, root)
    for (const [path, content] of files) await write(path, content)
    expect(await staleFiles(files, root)).toEqual([])

    const after = buildSchema('type Query { one: Int two: Int three: Int }')
    expect(await staleFiles(await generateFiles(after, root), root)).toEqual(['schema.graphql'])

    await write('client/src/page.ts', query('First', 'two'))
    expect(await staleFiles(await generateFiles(before, root), root)).toContain('client/gql/graphql.ts')

    await write('client/src/page.ts', query('First', 'one'))
    await write('client/gql/old.ts', '')
    expect(await staleFiles(await generateFiles(before, root), root)).toEqual(['client/gql/old.ts'])
  } finally {
    await rm(root, { recursive: true, force: true })
  }
})
