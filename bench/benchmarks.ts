import { capacity } from './benchmarks/capacity.ts'
import { catchUp } from './benchmarks/catchUp.ts'
import { fanout } from './benchmarks/fanout.ts'
import { firstToken } from './benchmarks/firstToken.ts'
import { ingestion } from './benchmarks/ingestion.ts'
import { memory } from './benchmarks/memory.ts'
import { pages } from './benchmarks/pages.ts'
import { sends } from './benchmarks/sends.ts'
import { storedDelta } from './benchmarks/storedDelta.ts'
import type { Benchmark } from './support/benchmark.ts'

/** In the order in which they run. */
export const benchmarks: readonly Benchmark[] = [
  fanout,
  ingestion,
  capacity,
  firstToken,
  sends,
  storedDelta,
  memory,
  catchUp,
  // last: the disk is busy for a while with the rows that it writes first
  pages,
]
