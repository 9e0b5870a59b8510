import { readdir, readFile } from 'node:fs/promises'
import { dirname, join, normalize, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseSync } from 'vite'

export interface Import {
  /** The importing file, relative to the project, with `/`. */
  from: string
  /** The imported file, likewise, or the name of a package or of a part of Node. */
  to: string
  isTypeOnly: boolean
}

const root = fileURLToPath(new URL('../../', import.meta.url))

/** Every import in the TypeScript files of a folder of the project. */
export async function readImports(folder: string): Promise<Import[]> {
  const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true })
  const files = entries
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .filter((path) => !/(^|\/)(dist|node_modules)\//.test(path))
  const found = await Promise.all(files.map(async (from) => importsOf(from, await readFile(join(root, from), 'utf8'))))
  return found.flat()
}

/** The imports that the source of the file `from` makes, dynamic ones included where their path is a literal. */
export function importsOf(from: string, source: string): Import[] {
  const { module } = parseSync(from, source)
  const resolve = (specifier: string) =>
    specifier.startsWith('.')
      ? normalize(join(dirname(from), specifier))
          .split(sep)
          .join('/')
      : specifier
  const all = (entries: { isType: boolean }[]) => entries.length > 0 && entries.every((entry) => entry.isType)
  return [
    ...module.staticImports.map(({ moduleRequest, entries }) => ({
      from,
      to: resolve(moduleRequest.value),
      isTypeOnly: all(entries),
    })),
    ...module.staticExports
      .flatMap(({ entries }) => entries)
      .flatMap(({ moduleRequest, isType }) =>
        moduleRequest ? [{ from, to: resolve(moduleRequest.value), isTypeOnly: isType }] : [],
      ),
    ...module.dynamicImports.flatMap(({ moduleRequest }) => {
      const literal = /^(['"`])([^$]*)\1$/.exec(source.slice(moduleRequest.start, moduleRequest.end))
      return literal ? [{ from, to: resolve(literal[2]!), isTypeOnly: false }] : []
    }),
  ]
}
