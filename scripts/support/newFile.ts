import { randomBytes } from 'node:crypto'
import { link, open, unlink } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { ConfigError } from '../../server/config/configError.ts'

/**
 * Makes a file that only its owner may read, and which appears under its name whole and on the disk, or not at all.
 * @param write fills the empty file at the path that it is given
 * @throws ConfigError where there is a file of that name, or none can be made
 */
export async function makeNewFile(file: string, write: (path: string) => Promise<void>): Promise<void> {
  const path = resolve(file)
  const unfinished = `${path}.${randomBytes(6).toString('hex')}`
  try {
    await (await open(unfinished, 'wx', 0o600)).close()
  } catch (error) {
    throw new ConfigError(`${file} can't be written: ${(error as Error).message}.`)
  }
  try {
    await write(unfinished)
    await sync(unfinished)
    // unlike a rename, a link never replaces what is there
    await link(unfinished, path)
    await sync(dirname(path))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    throw new ConfigError(`${file} is there already; a new file is needed.`)
  } finally {
    await unlink(unfinished)
  }
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
