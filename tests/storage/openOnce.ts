import { readConfig } from '../../server/config/config.ts'
import { openStorage } from '../../server/storage/openStorage.ts'

// A server's start as far as its database, in a process of its own: tells that it stands, then waits to be let go.
const storage = await openStorage(readConfig())
const tables = await storage.read.all('SELECT count(*) AS count FROM users')
process.stdout.write(`${JSON.stringify(tables)}\n`)
await new Promise((resolve) => process.stdin.once('data', resolve))
await storage.close()
process.exit()
