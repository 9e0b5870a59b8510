import type { DeltaRow, Storage } from '../../server/storage/storage.ts'

export type Fate = 'works' | 'fails' | 'answer lost' | 'held up'

export interface Unsteady extends Storage {
  calls: DeltaRow[][]
  /** Does what was held up, after whoever asked for it has given up. */
  arrive(): Promise<void>
}

/** A database that now and then fails to store deltas, stores them and loses its answer, or stores them late. */
export function unsteady(storage: Storage, fate: (call: number) => Fate): Unsteady {
  const calls: DeltaRow[][] = []
  const heldUp: (readonly DeltaRow[])[] = []
  return {
    ...storage,
    calls,
    async arrive() {
      for (const rows of heldUp.splice(0)) await storage.appendDeltas(rows)
    },
    async appendDeltas(rows) {
      const what = fate(calls.push([...rows]))
      if (what === 'held up') heldUp.push(rows)
      if (what === 'fails' || what === 'held up') throw new Error('The database is away.')
      const seqs = await storage.appendDeltas(rows)
      if (what === 'answer lost') throw new Error('The connection broke.')
      return seqs
    },
  }
}
