import { mkdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { benchmarks } from './benchmarks.ts'
import { cleanUp } from './support/children.ts'
import { asJson, isMet, printRow, type Row } from './support/report.ts'

const help = `Usage: npm run bench [-- [options] [name…]]

Each benchmark measures Parley against a peer in the same run, turn by turn, and prints medians (with least and most) and
their ratio. The servers and the clients run in processes of their own, on loopback.

  --rounds N      measured rounds, 5 unless said otherwise
  --quick         less of everything, one round: shows that it works, not how fast
  --json FILE     writes all figures
  --profile DIR   keeps CPU profiles of our server and prints where its time goes; distorts the figures

Names: ${benchmarks.map(({ name }) => name).join(', ')}
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string' },
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
    profile: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

async function main(): Promise<void> {
  if (values.help) return void process.stdout.write(help)
  const unknown = positionals.filter((name) => !benchmarks.some((benchmark) => benchmark.name === name))
  if (unknown.length > 0) throw new Error(`There is no benchmark ${unknown.join(', ')}.\n\n${help}`)
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 5))
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error('--rounds must be a whole number from 1.')
  if (values.profile) mkdirSync(values.profile, { recursive: true })

  const rows: (Row & { benchmark: string })[] = []
  const broken: string[] = []
  for (const { name, title, run } of benchmarks) {
    if (positionals.length > 0 && !positionals.includes(name)) continue
    const startedAt = performance.now()
    process.stdout.write(`${name}: ${title}\n`)
    try {
      await run({ rounds, isQuick: values.quick, profileFolder: values.profile }, (row) => {
        rows.push({ ...row, benchmark: name })
        printRow(row)
      })
    } catch (error) {
      broken.push(name)
      process.stdout.write(`  BROKEN: ${error instanceof Error ? error.message : String(error)}\n`)
      await cleanUp()
    }
    process.stdout.write(`  (${Math.round((performance.now() - startedAt) / 1000)} s)\n`)
  }
  const goals = rows.map(isMet).filter((met) => met !== undefined)
  process.stdout.write(`${goals.filter(Boolean).length} of ${goals.length} goals met`)
  process.stdout.write(broken.length > 0 ? `; broken: ${broken.join(', ')}\n` : '\n')
  if (values.json)
    writeFileSync(
      values.json,
      `${JSON.stringify({ node: process.version, rounds, rows: rows.map((row) => ({ benchmark: row.benchmark, ...asJson(row) })), broken }, null, 2)}\n`,
    )
  if (broken.length > 0) process.exitCode = 1
}

for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    void cleanUp().then(() => process.exit(1))
  })

try {
  await main()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
} finally {
  await cleanUp()
}
