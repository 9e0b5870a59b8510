/** `npm run restore -- FILE`: puts a back-up into the place that DATABASE_URL names, which must be empty. */
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { dataFolder, readConfig, withoutPassword } from '../server/config/config.ts'
import { ConfigError } from '../server/config/configError.ts'
import { fileArgument, runCommand } from './support/command.ts'
import { restorePostgres } from './support/postgresBackup.ts'
import { isSqliteFile, restoreSqlite } from './support/sqliteBackup.ts'

const usage = 'Say what to restore: npm run restore -- FILE. It goes to where DATABASE_URL names, which must be empty.'

runCommand(async () => {
  const file = fileArgument(usage)
  const config = readConfig()
  await access(file, constants.R_OK).catch((error: Error) => {
    throw new ConfigError(`${file} can't be read: ${error.message}.`)
  })
  const toSqlite = config.databaseUrl.startsWith('sqlite:')
  const fromSqlite = await isSqliteFile(file)
  if (toSqlite && !fromSqlite)
    throw new ConfigError(`${file} is no back-up of a SQLite database, and DATABASE_URL names one.`)
  if (!toSqlite && fromSqlite)
    throw new ConfigError(`${file} is a back-up of a SQLite database, and DATABASE_URL names a PostgreSQL one.`)
  await (toSqlite ? restoreSqlite(config.databaseUrl, file) : restorePostgres(config, file))
  const place = toSqlite ? dataFolder(config) : withoutPassword(config.databaseUrl)
  console.log(`Restored ${file} to ${place}. npm start goes on from there.`)
})
