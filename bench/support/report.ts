import { median } from './statistics.ts'

/** One line of the report: what was measured on our side and on another's, in the same run. */
export interface Row {
  what: string
  unit: string
  /** One figure a round, ours and the peer's; no peer where the goal is a limit. */
  ours: number[]
  peer?: { name: string; values: number[] }
  /** What must hold, of the ratio ours/peer, or of our own median, or of the difference of the medians. */
  goal?: { of: 'ratio' | 'value' | 'difference'; atMost?: number; atLeast?: number }
  note?: string
}

/** The figure that the goal speaks of: the median of the rounds' ratios, since the two sides of a round ran side by side. */
export function figureOf({ ours, peer, goal }: Row): number {
  if (!peer || goal?.of === 'value') return median(ours)
  if (goal?.of === 'difference') return median(ours) - median(peer.values)
  return median(ours.map((value, round) => value / peer.values[round]!))
}

/** Undefined where there is no goal. */
export function isMet(row: Row): boolean | undefined {
  if (!row.goal) return undefined
  const figure = figureOf(row)
  return figure <= (row.goal.atMost ?? Infinity) && figure >= (row.goal.atLeast ?? -Infinity)
}

const number = (value: number): string =>
  Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en') : Number(value.toPrecision(3)).toString()

export function printRow(row: Row): void {
  const { what, unit, ours, peer, goal, note } = row
  const figure = figureOf(row)
  const spread = (values: number[]) =>
    `${number(median(values))} (${number(Math.min(...values))} to ${number(Math.max(...values))})`
  const parts = [`${what}: ${spread(ours)} ${unit}`]
  if (peer) parts.push(`${peer.name} ${spread(peer.values)}`)
  if (peer && goal?.of === 'difference') parts.push(`difference ${number(figure)}`)
  else if (peer) parts.push(`ratio ${figure.toFixed(2)}`)
  if (goal) {
    const limit = goal.atMost === undefined ? `≥ ${goal.atLeast}` : `≤ ${goal.atMost}`
    parts.push(`goal ${limit}: ${isMet(row) ? 'met' : 'MISSED'}`)
  }
  process.stdout.write(`  ${parts.join(' · ')}${note ? `\n    ${note}` : ''}\n`)
}

export const asJson = (row: Row): object => ({
  ...row,
  median: median(row.ours),
  peerMedian: row.peer && median(row.peer.values),
  figure: figureOf(row),
  isMet: isMet(row),
})
