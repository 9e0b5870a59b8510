import { randomBytes } from 'node:crypto'
import { link, mkdir, readFile, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { dataFolder, type Config } from '../config.ts'

/** The secret that our own tokens are signed with: `AUTH_SECRET`, else one that is made once and kept beside the data. */
export async function readSecret(config: Config): Promise<Uint8Array> {
  if (config.authSecret) return Buffer.from(config.authSecret)
  const folder = dataFolder(config)
  const path = join(folder, 'auth.secret')
  const kept = await readKept(path)
  if (kept) return kept
  await mkdir(folder, { recursive: true })
  const mine = `${path}.${randomBytes(6).toString('hex')}`
  await writeFile(mine, randomBytes(32).toString('base64url'), { mode: 0o600, flag: 'wx' })
  try {
    // A link appears whole and never replaces another: of several servers that start at once, all get the first one's.
    await link(mine, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await unlink(mine)
  }
  return (await readKept(path))!
}

async function readKept(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
