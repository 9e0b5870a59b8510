import { onTestFailed } from 'vitest'

export interface Random {
  seed: number
  /** A number from 0 up to, not including, 1. */
  next(): number
  /** A whole number from `min` to `max`, both included. */
  int(min: number, max: number): number
  pick<T>(items: readonly T[]): T
  chance(probability: number): boolean
}

/** Numbers that are the same for the same seed (mulberry32, by Tommy Ettinger). */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const int = (min: number, max: number) => min + Math.floor(next() * (max - min + 1))
  return {
    seed: seed >>> 0,
    next,
    int,
    pick: (items) => {
      if (items.length === 0) throw new RangeError('Nothing to pick from.')
      return items[int(0, items.length - 1)]!
    },
    chance: (probability) => next() < probability,
  }
}

/** A random source for the running test: seeded by SEED if set, else anew; a failing test prints the seed. */
export function testRandom(): Random {
  const random = createRandom(process.env.SEED ? Number(process.env.SEED) : Math.floor(Math.random() * 2 ** 32))
  onTestFailed(() => console.error(`To repeat this failure: SEED=${random.seed}`))
  return random
}
