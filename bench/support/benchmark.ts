import type { Row } from './report.ts'

export interface Settings {
  /** Measured rounds; in each, every side has its turn. */
  rounds: number
  /** Less of everything, to see that it works. */
  isQuick: boolean
  /** Folder for CPU profiles of our server; none are made where it is left out. */
  profileFolder?: string
}

export interface Benchmark {
  name: string
  title: string
  run(settings: Settings, print: (row: Row) => void): Promise<void>
}
