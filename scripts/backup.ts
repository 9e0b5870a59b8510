/** `npm run backup -- FILE`: copies the data, as they are at one moment, into a new file; a server may run meanwhile. */
import { readConfig } from '../server/config/config.ts'
import { fileArgument, runCommand } from './support/command.ts'
import { backupPostgres } from './support/postgresBackup.ts'
import { backupSqlite } from './support/sqliteBackup.ts'

const usage = 'Say where to: npm run backup -- FILE. The database is the one that DATABASE_URL names.'

runCommand(async () => {
  const file = fileArgument(usage)
  const { databaseUrl } = readConfig()
  await (databaseUrl.startsWith('sqlite:') ? backupSqlite : backupPostgres)(databaseUrl, file)
  console.log(`Backed up to ${file}. It holds what people wrote, and what signs their tokens: keep it as safe.`)
})
