import { spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { end, root, temporaryFolder, track } from './children.ts'

export interface Parley {
  readonly pid: number
  readonly url: string
  readonly token: string
  readonly userId: string
  readonly databasePath: string
  /** Gives `data`. @throws Error with what the server said where it says an error */
  graphql<Data>(query: string, variables?: object): Promise<Data>
  createSessions(count: number): Promise<string[]>
  /** Sends a message that the model answers. */
  send(sessionId: string, content: string): Promise<void>
  lastSeq(sessionId: string): Promise<number>
  signal(signal: NodeJS.Signals): void
  stop(): Promise<void>
}

export interface ParleyOptions {
  modelUrl: string
  /** A folder that is there already and stays; else one is made and removed again. */
  folder?: string
  nodeArgs?: string[]
}

/** Starts our server as `npm start` does, on a database of its own, with limits that don't come into play. */
export async function startParley({ modelUrl, folder, nodeArgs = [] }: ParleyOptions): Promise<Parley> {
  const home = folder ?? temporaryFolder()
  const databasePath = join(home, 'parley.db')
  const child = track(
    spawn(process.execPath, [...nodeArgs, 'server/main.ts'], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        ...process.env,
        HOST: '127.0.0.1',
        PORT: '0',
        DATABASE_URL: `sqlite:${databasePath}`,
        REDIS_URL: '',
        AUTH: 'guest',
        LOCAL_BASE_URL: modelUrl,
        DEFAULT_MODEL: 'local/bench',
        RATE_LIMIT_PER_MINUTE: '1000000',
        RATE_LIMIT_PER_MINUTE_PER_ADDRESS: '1000000',
        MAX_CONCURRENT_GENERATIONS: '100000',
        MAX_SOCKETS_PER_USER: '100000',
        SHUTDOWN_TIMEOUT_MS: '100',
        LOG_LEVEL: 'warn',
      },
    }),
  )
  const url = await readUrl(child)
  let token = ''

  async function graphql<Data>(query: string, variables: object = {}): Promise<Data> {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
      body: JSON.stringify({ query, variables }),
    })
    const { data, errors } = (await response.json()) as { data?: Data; errors?: unknown }
    if (errors || !data) throw new Error(`the server answered ${JSON.stringify(errors ?? data)}`)
    return data
  }

  const { signInAsGuest } = await graphql<{ signInAsGuest: { token: string; user: { id: string } } }>(`
    mutation {
      signInAsGuest(input: { name: "Bench" }) {
        ... on SignInAsGuestSuccess {
          token
          user {
            id
          }
        }
        ... on Error {
          message
        }
      }
    }
  `)
  token = signInAsGuest.token

  return {
    pid: child.pid!,
    url,
    token,
    userId: signInAsGuest.user.id,
    databasePath,
    graphql,
    async createSessions(count) {
      const ids = Array.from({ length: count }, () => randomUUID())
      await inParallel(ids, async (id) => {
        const { createSession } = await graphql<{ createSession: { __typename: string; message?: string } }>(
          `
            mutation ($id: ID!) {
              createSession(input: { id: $id, title: "Bench" }) {
                __typename
                ... on Error {
                  message
                }
              }
            }
          `,
          { id },
        )
        if (createSession.__typename !== 'CreateSessionSuccess') throw new Error(JSON.stringify(createSession))
      })
      return ids
    },
    async send(sessionId, content) {
      const { sendMessage } = await graphql<{ sendMessage: { __typename: string; message?: string } }>(
        `
          mutation ($input: SendMessageInput!) {
            sendMessage(input: $input) {
              __typename
              ... on Error {
                message
              }
            }
          }
        `,
        { input: { sessionId, content } },
      )
      if (sendMessage.__typename !== 'SendMessageSuccess') throw new Error(JSON.stringify(sendMessage))
    },
    async lastSeq(sessionId) {
      const { session } = await graphql<{ session: { lastSeq: number } }>(
        `
          query ($id: ID!) {
            session(id: $id) {
              lastSeq
            }
          }
        `,
        { id: sessionId },
      )
      return session.lastSeq
    },
    signal: (signal) => void child.kill(signal),
    async stop() {
      await end(child)
      if (!folder) rmSync(home, { recursive: true, force: true })
    },
  }
}

/** Does something with each of a list, sixteen at a time. */
export async function inParallel<T>(
  items: readonly T[],
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  const left = [...items.entries()]
  const worker = async () => {
    for (let next = left.shift(); next; next = left.shift()) await work(next[1], next[0])
  }
  await Promise.all(Array.from({ length: 16 }, worker))
}

function readUrl(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = ''
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      output += text
      const found = /Parley runs at (http:\S+)/.exec(output)
      if (found) resolve(found[1]!)
    })
    child.once('exit', (code) => reject(new Error(`the server ended before it was ready (${code}): ${output}`)))
  })
}
