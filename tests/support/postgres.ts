import { inject } from 'vitest'
import { createDatabaseIn, type TestDatabase } from '../../scripts/support/startPostgres.ts'

/** Makes an empty database for one test file in the run's own PostgreSQL, which the first call starts. */
export async function createDatabase(): Promise<TestDatabase> {
  const response = await fetch(inject('postgresUrl'))
  const text = await response.text()
  if (!response.ok) throw new Error(text)
  return createDatabaseIn(text)
}
