import type { DeltaRow, Storage } from '../../server/storage/storage.ts'

export type Fate = 'works' | 'fails' | 'answer lost'

/** A database that now and then fails to store deltas, or stores them and loses its answer. */
export function unsteady(storage: Storage, fate: (call: number) => Fate): Storage & { calls: DeltaRow[][] } {
  const calls: DeltaRow[][] = []
  return {
    ...storage,
    calls,
    async appendDeltas(rows) {
      const what = fate(calls.push([...rows]))
      if (what === 'fails') throw new Error('The database is away.')
      const seqs = await storage.appendDeltas(rows)
      if (what === 'answer lost') throw new Error('The connection broke.')
      return seqs
    },
  }
}
