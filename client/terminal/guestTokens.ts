import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'

/** The tokens of this person's guests, so that `--session` finds its way back: for the user's eyes only. */
export interface GuestTokens {
  read(url: string, name: string): Promise<string | undefined>
  write(url: string, name: string, token: string): Promise<void>
}

/** Kept in the file of the XDG base directory specification's state folder. */
export function createGuestTokens(env: NodeJS.ProcessEnv): GuestTokens {
  const file = join(env.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'parley', 'guests.json')
  const keyOf = (url: string, name: string) => `${new URL(url).origin} ${name}`

  async function readAll(): Promise<Record<string, string>> {
    try {
      return JSON.parse(await readFile(file, 'utf8')) as Record<string, string>
    } catch {
      return {}
    }
  }

  return {
    read: async (url, name) => (await readAll())[keyOf(url, name)],
    async write(url, name, token) {
      const all = { ...(await readAll()), [keyOf(url, name)]: token }
      await mkdir(dirname(file), { recursive: true, mode: 0o700 })
      const unfinished = `${file}.${process.pid}`
      await writeFile(unfinished, `${JSON.stringify(all, null, 2)}\n`, { mode: 0o600 })
      await rename(unfinished, file)
    },
  }
}
