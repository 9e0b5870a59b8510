import { parseArgs } from 'node:util'
import { createDatabaseIn, startPostgres, type PostgresServer } from '../scripts/support/startPostgres.ts'
import { promises } from './promises.ts'
import { run } from './support/promise.ts'

const help = `Usage: npm run faults [-- [--long] [number…]]

Attacks what Parley promises, with real processes, databases and connections, and prints one line for each promise.
Ends with 1 at the first one that is broken.

  --long     the full counts: a million deltas, a hundred kills; about half an hour
  number     only these promises
  SEED=…     in the environment: the same random choices again

${promises.map(({ number, title }) => `${String(number).padStart(4)}  ${title}`).join('\n')}
`

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { long: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } },
  })
  if (values.help) return void process.stdout.write(help)
  const wanted = new Set(positionals.map(Number))
  const unknown = positionals.filter((number) => !promises.some((promise) => promise.number === Number(number)))
  if (unknown.length > 0) throw new Error(`There is no promise ${unknown.join(', ')}.\n\n${help}`)
  const seed = process.env.SEED ? Number(process.env.SEED) : Math.floor(Math.random() * 2 ** 31)
  process.stdout.write(`Attacking with SEED=${seed}.\n`)

  let postgres: Promise<PostgresServer> | undefined
  const createDatabase = async () => createDatabaseIn((await (postgres ??= startPostgres())).url)
  try {
    for (const promise of promises) {
      if (wanted.size > 0 && !wanted.has(promise.number)) continue
      const { isKept, line } = await run(promise, { seed, size: values.long ? 'long' : 'usual', createDatabase })
      process.stdout.write(`${line}\n`)
      if (isKept) continue
      process.exitCode = 1
      return
    }
  } finally {
    await (await postgres?.catch(() => undefined))?.stop()
  }
}

// servers that were started end with this process
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))
// many servers at once each listen for our end
process.setMaxListeners(0)

try {
  await main()
  process.exit()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
}
