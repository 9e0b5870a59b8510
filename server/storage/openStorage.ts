import type { Config } from '../config.ts'
import { openPostgres } from './postgres.ts'
import { openSqlite } from './sqlite.ts'
import type { Storage } from './storage.ts'

/** Opens the database that `DATABASE_URL` names, brought to the newest schema. */
export function openStorage(config: Config): Promise<Storage> {
  return config.databaseUrl.startsWith('sqlite:')
    ? openSqlite(config.databaseUrl)
    : openPostgres(config.databaseUrl, config.databaseTimeoutMs)
}
