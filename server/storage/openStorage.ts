import type { Config } from '../config/config.ts'
import type { Storage } from './storage.ts'

/** Opens the database that `DATABASE_URL` names, brought to the newest schema. Loads the driver of that one alone. */
export async function openStorage(config: Config): Promise<Storage> {
  if (config.databaseUrl.startsWith('sqlite:')) {
    const { openSqlite } = await import('./sqlite.ts')
    return openSqlite(config.databaseUrl)
  }
  const { openPostgres } = await import('./postgres.ts')
  return openPostgres(config.databaseUrl, config.databaseTimeoutMs)
}
