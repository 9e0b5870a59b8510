import { setTimeout as delay } from 'node:timers/promises'
import { createRandom, type Random } from '../../tests/support/random.ts'
import type { TestDatabase } from '../../scripts/support/startPostgres.ts'

/** How much is tried: `short` in `npm test`, `usual` in `npm run faults`, `long` as the table in the guarantees says. */
export type Size = 'short' | 'usual' | 'long'

/** What an attack is given. */
export interface Attack {
  readonly random: Random
  readonly size: Size
  /** An empty PostgreSQL database, gone when the attack is over. */
  createDatabase(): Promise<TestDatabase>
  /** What is started is undone when the attack is over, however that ends; the last one first. */
  defer(undo: () => unknown): void
}

export interface Count {
  name: string
  value: number
  /** Beyond these the promise is broken, or nothing was shown. */
  min?: number
  max?: number
}

/** Something that must not happen. */
export const never = (name: string, value: number): Count => ({ name, value, max: 0 })
/** How often something was tried: an attack that tried nothing shows nothing. */
export const tried = (name: string, value: number, min = 1): Count => ({ name, value, min })
export const atMost = (name: string, max: number, value: number): Count => ({ name, value, max })
export const told = (name: string, value: number): Count => ({ name, value })

export const isBroken = ({ value, min = -Infinity, max = Infinity }: Count): boolean => !(value >= min && value <= max)

export interface PromiseToKeep {
  readonly number: number
  readonly title: string
  attack(attack: Attack): Promise<Count[]>
}

/** A promise whose attack is the same function at each size. */
export function promise<Amounts>(
  number: number,
  title: string,
  amounts: Record<Size, Amounts>,
  attack: (attack: Attack, amounts: Amounts) => Promise<Count[]>,
): PromiseToKeep {
  return { number, title, attack: (given) => attack(given, amounts[given.size]) }
}

export interface Verdict {
  readonly isKept: boolean
  /** One line with all counts, the broken ones first. */
  readonly line: string
}

export interface RunOptions {
  seed: number
  size: Size
  createDatabase(): Promise<TestDatabase>
  /** An attack that takes longer is given up and counts as broken; what it started is ended all the same. */
  withinMs?: number
}

/** Attacks a promise, and ends whatever that started. Never rejects. */
export async function run(
  { number, title, attack }: PromiseToKeep,
  { seed, size, createDatabase, withinMs = 2 * 3_600_000 }: RunOptions,
): Promise<Verdict> {
  const startedAt = performance.now()
  const undos: (() => unknown)[] = []
  let isOver = false
  const say = (isKept: boolean, what: string): Verdict => {
    const seconds = Math.round((performance.now() - startedAt) / 1000)
    return { isKept, line: `${number}. ${title}: ${isKept ? 'kept' : 'BROKEN'}. ${what} (${seconds} s, seed ${seed})` }
  }
  try {
    const attacked = attack({
      random: createRandom(seed + number),
      size,
      async createDatabase() {
        const database = await createDatabase()
        undos.push(() => database.drop())
        return database
      },
      // one that was given up may still start things
      defer: (undo) => void (isOver ? undo() : undos.push(undo)),
    })
    const counts = await Promise.race([attacked, giveUp(withinMs)])
    const broken = counts.filter(isBroken)
    const rest = counts.filter((count) => !isBroken(count))
    const words = [...broken.map((count) => `${write(count)}, which must be ${rule(count)}`), ...rest.map(write)]
    return say(broken.length === 0 && counts.length > 0, words.join('; '))
  } catch (error) {
    return say(false, `It could not be shown: ${error instanceof Error ? error.stack : String(error)}`)
  } finally {
    isOver = true
    for (const undo of undos.reverse())
      await Promise.resolve()
        .then(undo)
        .catch((error: unknown) => console.error(`Promise ${number} could not be cleaned up:`, error))
  }
}

async function giveUp(afterMs: number): Promise<never> {
  await delay(afterMs, undefined, { ref: false })
  throw new Error(`It did not end within ${afterMs / 1000} s.`)
}

const write = ({ name, value }: Count): string => `${name}: ${value.toLocaleString('en', { maximumFractionDigits: 1 })}`

const rule = ({ min, max }: Count): string =>
  [min === undefined ? '' : `at least ${min}`, max === undefined ? '' : `at most ${max}`].filter(Boolean).join(' and ')
