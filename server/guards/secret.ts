import { randomBytes } from 'node:crypto'
import { link, mkdir, readFile, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { dataFolder, type Config } from '../config/config.ts'
import type { Storage } from '../storage/storage.ts'

/**
 * The secret that our own tokens are signed with: `AUTH_SECRET`, else one that is made once and kept with the data: in
 * the database itself where several nodes may share it, in a file beside it with SQLite.
 */
export async function readSecret(config: Config, storage: Storage): Promise<Uint8Array> {
  if (config.authSecret) return Buffer.from(config.authSecret)
  const path = join(dataFolder(config), 'auth.secret')
  return storage.dialect.name === 'postgres' ? readShared(storage, path) : readOwn(path)
}

/** @param formerPath a file that a node of an earlier version kept its secret in: tokens signed with it stay valid */
async function readShared(storage: Storage, formerPath: string): Promise<Uint8Array> {
  const find = async (): Promise<string | undefined> =>
    (await storage.read.all<{ value: string }>(`SELECT value FROM secrets WHERE name = 'auth'`))[0]?.value
  const kept = await find()
  if (kept !== undefined) return Buffer.from(kept)
  const former = (await readKept(formerPath))?.toString()
  await storage.transaction((tx) =>
    // of several nodes that start at once, all get the first one's
    tx.run(`INSERT INTO secrets (name, value) VALUES ('auth', ?) ON CONFLICT (name) DO NOTHING`, [
      former ?? makeSecret(),
    ]),
  )
  return Buffer.from((await find())!)
}

async function readOwn(path: string): Promise<Uint8Array> {
  const kept = await readKept(path)
  if (kept) return kept
  await mkdir(join(path, '..'), { recursive: true })
  const mine = `${path}.${randomBytes(6).toString('hex')}`
  await writeFile(mine, makeSecret(), { mode: 0o600, flag: 'wx' })
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

const makeSecret = (): string => randomBytes(32).toString('base64url')

async function readKept(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
