import fc from 'fast-check'
import type { GraphQLSchema } from 'graphql'
import { Asker, Fault, noTally, type Tally } from './badAsking.ts'
import { anyCase, type Case } from './badCases.ts'
import type { Stored } from './stored.ts'
import { changedTables, digestTables } from './tables.ts'
import { until } from './until.ts'

export interface InputAttack {
  server: { url: string; port: number }
  stored: Stored
  isSqlite: boolean
  schema: GraphQLSchema
  cases: number
  seed: number
  /** When no more are begun. */
  withinMs: number
}

export interface InputVerdict extends Tally {
  tried: number
  /** Cases that were refused, and after which the tables were compared. */
  compared: number
  /** Tables that had changed. */
  changed: number
  /** What went wrong, and for which case; the first of each kind says most. */
  reports: string[]
}

const inFlight = 8
const perBatch = 200
const rounds = 5
const maxReports = 10

/** Sends so many cases, several at once, and compares all tables around those that were refused. The same seed gives the same cases. */
export async function attackInputs(attack: InputAttack): Promise<InputVerdict> {
  const { cases, fields } = anyCase(attack.schema)
  const verdict: InputVerdict = { ...noTally(), tried: 0, compared: 0, changed: 0, reports: [] }
  const endsAt = performance.now() + attack.withinMs
  for (let batch = 0; verdict.tried < attack.cases && performance.now() < endsAt; batch++) {
    if (verdict.reports.length >= maxReports) break
    const some = fc.sample(cases, {
      numRuns: Math.min(perBatch, attack.cases - verdict.tried),
      seed: attack.seed + batch,
    })
    const asker = new Asker(attack.server, fields, verdict, `127.0.0.${2 + (batch % 250)}`)
    try {
      const { true: writes = [], false: reads = [] } = Object.groupBy(some, ({ field }) =>
        String(field.startsWith('Mutation')),
      )
      await sendAll(reads, attack, asker, verdict)
      await sendAll(writes, attack, asker, verdict)
    } finally {
      await asker.close()
    }
    verdict.tried += some.length
  }
  return verdict
}

/** Those that were refused are sent again without those that were not, until none is taken: then nothing may have changed. */
async function sendAll(
  cases: readonly Case[],
  attack: InputAttack,
  asker: Asker,
  verdict: InputVerdict,
): Promise<void> {
  let pending = cases
  for (let round = 0; round < rounds && pending.length > 0; round++) {
    const { refused, changed } = await compared(attack, asker, () => sendSome(pending, asker, verdict))
    if (refused.length < pending.length) {
      pending = refused
      continue
    }
    verdict.compared += refused.length
    verdict.changed += changed.length
    if (changed.length > 0) verdict.reports.push(await explain(changed, pending, attack, asker, verdict))
    return
  }
}

/** What some work gave, and the tables that it changed. */
export async function compared<T extends object>(
  { stored, isSqlite }: Pick<InputAttack, 'stored' | 'isSqlite'>,
  asker: Asker,
  work: () => Promise<T>,
): Promise<T & { changed: string[] }> {
  await asker.token()
  // answers that were begun are written on
  await until(async () => (await stored.all('SELECT id FROM generations WHERE ended_at IS NULL')).length === 0, 20_000)
  const before = await digestTables(stored, isSqlite)
  const result = await work()
  return { ...result, changed: changedTables(before, await digestTables(stored, isSqlite)) }
}

async function sendSome(cases: readonly Case[], asker: Asker, { reports }: InputVerdict): Promise<{ refused: Case[] }> {
  const refused: Case[] = []
  const queue = cases.values()
  const lane = async (): Promise<void> => {
    for (const one of queue) {
      const fault = await asker.ask(one).then(
        ({ isDone }) => void (isDone || refused.push(one)),
        (error: unknown) => error,
      )
      if (fault instanceof Fault) reports.push(fault.message)
      else if (fault !== undefined)
        throw new Error(`${JSON.stringify(one).slice(0, 600)} was not answered`, { cause: fault })
    }
  }
  // all come to their end before the connections are closed
  const ends = await Promise.allSettled(Array.from({ length: inFlight }, lane))
  for (const end of ends) if (end.status === 'rejected') throw end.reason
  return { refused }
}

/** Which of the cases, alone, changes something. */
async function explain(
  tables: string[],
  cases: readonly Case[],
  attack: InputAttack,
  asker: Asker,
  verdict: InputVerdict,
): Promise<string> {
  for (const one of cases) {
    const { refused, changed } = await compared(attack, asker, () => sendSome([one], asker, verdict))
    if (refused.length > 0 && changed.length > 0)
      return `Refused, and yet it changed ${changed.join(', ')}: ${JSON.stringify(one).slice(0, 1_000)}`
  }
  const fields = [...new Set(cases.map(({ field }) => field))]
  return `Cases of ${fields.join(', ')} that were refused changed ${tables.join(', ')}, but none does so when it is sent again.`
}
