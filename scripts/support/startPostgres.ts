import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import pg from 'pg'

export interface PostgresServer {
  /** `postgres://…` of the server's own database, as a superuser. */
  url: string
  /** Ends the server and deletes its data. */
  stop(): Promise<void>
}

export interface TestDatabase {
  /** `postgres://…` of an empty database, as DATABASE_URL takes it. */
  url: string
  /** Ends whatever is still connected to it, then deletes it. */
  drop(): Promise<void>
}

/** Starts a real PostgreSQL on a free port of the loopback. It ends with this process, however that ends. */
export async function startPostgres(): Promise<PostgresServer> {
  const program = fileURLToPath(new URL('postgresServer.ts', import.meta.url))
  // A session of its own, since Ctrl-C in a terminal would end it under the tests that still clean up.
  const child = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'inherit'], detached: true })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const url = await new Promise<string>((resolve, reject) => {
    createInterface(child.stdout).once('line', (line) => resolve((JSON.parse(line) as { url: string }).url))
    child.once('error', reject)
    void exited.then(() => reject(new Error('PostgreSQL did not start; its own words stand above.')))
  })
  return {
    url,
    async stop() {
      child.stdin.end()
      await exited
    },
  }
}

/** Makes an empty database of a random name in the server at `serverUrl`. */
export async function createDatabaseIn(serverUrl: string): Promise<TestDatabase> {
  const name = `test_${randomUUID().replaceAll('-', '')}`
  await query(serverUrl, `create database ${name}`)
  const url = new URL(serverUrl)
  url.pathname = `/${name}`
  return { url: url.href, drop: () => query(serverUrl, `drop database if exists ${name} with (force)`) }
}

async function query(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
