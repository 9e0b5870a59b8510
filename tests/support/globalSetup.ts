import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestProject } from 'vitest/node'
import { startPostgres, type PostgresServer } from '../../scripts/support/startPostgres.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Answers with the `postgres://…` URL of the run's server, and starts it when first asked. */
    postgresUrl: string
  }
}

/** One PostgreSQL for the whole run, started only if a test asks for it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  let postgres: Promise<PostgresServer> | undefined
  const broker = createServer((_request, response) => {
    postgres ??= startPostgres()
    postgres.then(
      ({ url }) => response.end(url),
      (error: unknown) => response.writeHead(500).end(String(error)),
    )
  })
  await new Promise<void>((resolve) => broker.listen(0, '127.0.0.1', resolve))
  project.provide('postgresUrl', `http://127.0.0.1:${(broker.address() as AddressInfo).port}/`)
  return async () => {
    broker.closeAllConnections()
    await new Promise((resolve) => broker.close(resolve))
    const started = await postgres?.catch(() => undefined)
    await started?.stop()
  }
}
